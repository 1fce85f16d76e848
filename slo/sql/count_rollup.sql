SELECT $columns
FROM (
  SELECT $dimensions, $sums
  FROM events_by_minute
  WHERE $within
  GROUP BY $dimensions
)
