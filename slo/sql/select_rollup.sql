SELECT minute, journey, service, name, step, channel, outcome, events, durations
FROM events_by_minute
WHERE $minutes
UNION ALL
SELECT hour AS minute, journey, service, name, step, channel, outcome, events, durations
FROM events_by_hour
WHERE $hours
