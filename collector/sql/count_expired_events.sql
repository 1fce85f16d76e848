SELECT count() AS events
FROM quarantine
WHERE expires_at <= {now:DateTime('UTC')}
