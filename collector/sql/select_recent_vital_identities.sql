SELECT concat('vital:', name, ':', id, ':', toString(reinterpretAsUInt64(delta))) AS identity
FROM vitals
WHERE received_at >= {since:DateTime64(3, 'UTC')} AND received_at < {until:DateTime64(3, 'UTC')}
