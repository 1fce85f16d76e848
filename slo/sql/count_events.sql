SELECT $columns
FROM $table
WHERE $within
