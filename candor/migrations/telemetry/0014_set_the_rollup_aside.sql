DROP VIEW IF EXISTS events_to_events_by_minute;

RENAME TABLE IF EXISTS events_by_minute TO events_by_minute_of_0003;
