ALTER TABLE $table DELETE IN PARTITION ID '$partition' WHERE $row IN (SELECT row FROM $texts)
