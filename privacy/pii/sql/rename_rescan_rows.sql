RENAME TABLE $rows TO $ready
