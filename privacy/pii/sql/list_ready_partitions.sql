SELECT _partition_id AS partition, count() AS rows FROM $ready GROUP BY partition ORDER BY partition
