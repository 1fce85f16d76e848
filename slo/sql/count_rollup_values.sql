SELECT $value AS told_apart_by, $valid AS valid_events, $good AS good_events
FROM ($rows)
WHERE $chosen
GROUP BY told_apart_by
HAVING valid_events > 0
