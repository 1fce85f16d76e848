ALTER TABLE $ready DROP PART '$part'
