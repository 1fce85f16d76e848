SELECT
  $by
  $edge AS edge,
  sum(good_sum) AS good_events,
  sum(valid_sum) AS valid_events,
  sumIf($good_unit, $begins) AS good_units,
  sumIf($valid_unit, $begins) AS valid_units,
  countIf($begins) AS measured,
  countIf($begins AND $over) AS over
FROM ($slices)
GROUP BY $by edge
