SELECT
  $start AS start,
  toInt64(count()) AS valid_sum,
  toInt64(countIf(last >= second + 60 - $limit)) AS good_sum
FROM (
  SELECT
    second,
    max(came) OVER (ORDER BY second ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS last
  FROM (
    SELECT second, max(came_at) AS came
    FROM (
      SELECT start AS second, start AS came_at FROM ($came)
      UNION ALL
      SELECT $since + 60 * toInt64(number) AS second, $before AS came_at FROM numbers($minutes)
    )
    GROUP BY second
  )
)
WHERE second >= $since AND last > $never AND $outside
GROUP BY start
