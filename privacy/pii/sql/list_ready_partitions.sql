SELECT DISTINCT _partition_id AS partition FROM $ready ORDER BY partition
