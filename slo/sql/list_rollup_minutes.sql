SELECT minute AS at, $valid AS valid_events, $good AS good_events
FROM events_by_minute
WHERE $within AND $chosen
GROUP BY at
HAVING valid_events > 0
ORDER BY at
