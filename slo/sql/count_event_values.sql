SELECT $value AS told_apart_by, $valid AS valid_events, $good AS good_events
FROM $table
WHERE $within AND $chosen
GROUP BY told_apart_by
HAVING valid_events > 0
