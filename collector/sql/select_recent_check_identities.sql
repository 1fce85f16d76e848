SELECT concat('check:', check, ':', location, ':', toString(toUnixTimestamp64Milli(time)), ':', step) AS identity
FROM checks
WHERE received_at >= {since:DateTime64(3, 'UTC')} AND received_at < {until:DateTime64(3, 'UTC')}
