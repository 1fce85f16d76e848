DROP TABLE IF EXISTS events_by_minute_of_0003;
