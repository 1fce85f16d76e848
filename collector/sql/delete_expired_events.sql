ALTER TABLE quarantine DELETE WHERE expires_at <= {now:DateTime('UTC')}
