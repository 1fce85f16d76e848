SELECT $value AS value, $valid AS valid_events, $good AS good_events
FROM $table
WHERE $within AND $chosen
GROUP BY value
HAVING valid_events > 0
