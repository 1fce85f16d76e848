SELECT measured_at AS time, latest AS value, * EXCEPT (measured_at, latest)
FROM vitals_latest(since = $since, until = $until)
