SELECT name
FROM system.parts
WHERE database = currentDatabase() AND active AND table = {ready:String} AND rows > 0
  AND (partition_id, hash_of_all_files) IN (
    SELECT partition_id, hash_of_all_files
    FROM system.parts
    WHERE database = currentDatabase() AND active AND table = {table:String}
  )
ORDER BY name
