SELECT $dimensions, sumForEach(parts) AS sums
FROM (
  SELECT $dimensions, [$sums] AS parts
  FROM events_by_minute
  WHERE $within
  GROUP BY journey, name, step, outcome, channel, service
)
GROUP BY $dimensions
SETTINGS optimize_aggregation_in_order = 1
