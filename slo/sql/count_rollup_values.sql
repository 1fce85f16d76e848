SELECT $value AS value, $valid AS valid_events, $good AS good_events
FROM events_by_minute
WHERE $within AND $chosen
GROUP BY value
HAVING valid_events > 0
