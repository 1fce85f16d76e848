ALTER TABLE $rows MODIFY SETTING compress_primary_key = 0
