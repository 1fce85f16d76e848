SELECT concat(door, ':', id) AS identity
FROM events
WHERE received_at >= {since:DateTime64(3, 'UTC')} AND received_at < {until:DateTime64(3, 'UTC')}
