SELECT $columns
FROM events
WHERE $within
