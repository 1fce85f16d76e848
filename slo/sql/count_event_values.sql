SELECT $value AS value, $valid AS valid_events, $good AS good_events
FROM $table
WHERE $within
GROUP BY value
HAVING valid_events > 0
