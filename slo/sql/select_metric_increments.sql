SELECT * FROM metric_increments(since = $since, until = $until)
