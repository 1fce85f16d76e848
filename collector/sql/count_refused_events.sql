SELECT code, uniqExact(id) AS events
FROM quarantine
WHERE received_at >= {since:DateTime64(3, 'UTC')} AND expires_at > {now:DateTime('UTC')}
GROUP BY code
ORDER BY code
