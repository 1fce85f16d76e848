SELECT count() AS moments
FROM events
WHERE $within AND $unit != '' AND ($any)
