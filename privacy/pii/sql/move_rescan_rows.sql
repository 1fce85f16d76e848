ALTER TABLE $ready MOVE PARTITION ID '$partition' TO TABLE $table
