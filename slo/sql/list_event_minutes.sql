SELECT toStartOfMinute(time) AS at, $valid AS valid_events, $good AS good_events
FROM $table
WHERE $within AND $chosen
GROUP BY at
HAVING valid_events > 0
ORDER BY at
