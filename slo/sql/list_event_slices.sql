WITH toInt64(toUnixTimestamp(toStartOfMinute(time))) AS second
SELECT $start AS start, $valid AS valid_sum, $good AS good_sum
FROM $table
WHERE $within AND $chosen AND $outside
GROUP BY start
HAVING valid_sum > 0
