SELECT DISTINCT concat('refused:', id) AS identity
FROM quarantine
WHERE received_at >= {since:DateTime64(3, 'UTC')} AND received_at < {until:DateTime64(3, 'UTC')}
