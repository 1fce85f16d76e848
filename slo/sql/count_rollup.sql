SELECT $columns
FROM (
  SELECT journey, name, step, outcome, channel, service, $sums
  FROM events_by_minute
  WHERE $within
  GROUP BY journey, name, step, outcome, channel, service
)
