CREATE TABLE $texts ENGINE = MergeTree ORDER BY (page, row) AS
SELECT toUInt32(0) AS page, $row AS row, $columns
FROM $table
WHERE 0
