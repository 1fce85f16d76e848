SELECT $columns
FROM $table
WHERE _partition_id = {partition:String}
  AND $time >= {since:DateTime64(3, 'UTC')} AND $time < {until:DateTime64(3, 'UTC')}
  AND $share
