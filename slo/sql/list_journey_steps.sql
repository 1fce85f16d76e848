SELECT
  step,
  count() AS events,
  countIf(previous != step) AS entries,
  uniqExactIf(instance, instance != '') AS instances,
  countIf(outcome = 'error') AS errors,
  quantilesExactInclusive(0.5, 0.95, 0.99)(latency_ms) AS latencies_ms,
  sumMapIf(map(following, toUInt64(1)), following NOT IN ('', step)) AS next
FROM (
  SELECT
    toString(step) AS step,
    instance,
    outcome,
    toUnixTimestamp64Milli(received_at) - toUnixTimestamp64Milli(time) AS latency_ms,
    lagInFrame(toString(step)) OVER way AS previous,
    leadInFrame(toString(step)) OVER way AS following
  FROM events
  WHERE journey = {journey:String}
    AND time >= {since:DateTime64(3, 'UTC')}
    AND time < {until:DateTime64(3, 'UTC')}
    AND step != ''
  WINDOW way AS (
    PARTITION BY instance, if(instance = '', (toString(door), id), ('', ''))
    ORDER BY time, received_at, id
    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
  )
)
GROUP BY step
ORDER BY entries DESC, step
