SELECT $dimensions, [$sums] AS sums
FROM ($rows)
WHERE $asked_for
GROUP BY $dimensions
