WITH toInt64(toUnixTimestamp(minute)) AS second
SELECT $by $start AS start, $valid AS valid_sum, $good AS good_sum
FROM events_by_minute
WHERE $within AND $chosen AND $outside
GROUP BY $by start
HAVING valid_sum > 0
