SELECT min(start) AS since, max(start) AS latest
FROM (
  SELECT
    start,
    sum(silent) OVER (ORDER BY start ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS stretch
  FROM (
    SELECT
      start,
      start - lagInFrame(start, 1, start)
        OVER (ORDER BY start ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) > $apart AS silent
    FROM ($slices)
    WHERE $begins
  )
)
GROUP BY stretch
ORDER BY since
