CREATE TABLE $rows AS $table
