SELECT $columns
FROM $table
WHERE $within AND $asked_for
