INSERT INTO $rows ($names)
SELECT $columns
FROM (
  SELECT *, $row AS rescan_row
  FROM $table
  WHERE _partition_id = {partition:String}
    AND $time >= {since:DateTime64(3, 'UTC')} AND $time < {until:DateTime64(3, 'UTC')}
    AND $share
) AS stored
INNER JOIN (SELECT * FROM $texts WHERE page = {page:UInt32}) AS made ON rescan_row = made.row
