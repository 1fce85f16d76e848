SELECT
  _partition_id AS partition,
  toInt64(floor(toUnixTimestamp64Milli(toDateTime64($time, 3, 'UTC')) / 60000)) AS whole_minute,
  count() AS rows
FROM $table
WHERE $time >= {since:DateTime64(3, 'UTC')} AND $time < {until:DateTime64(3, 'UTC')}
GROUP BY partition, whole_minute
ORDER BY partition, whole_minute
