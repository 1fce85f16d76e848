SELECT cityHash64($unit) AS unit, toUnixTimestamp64Milli(time) AS at, $steps AS steps, $breakdown AS value
FROM events
WHERE $within AND $unit != '' AND cityHash64($unit) % {parts:UInt64} = {part:UInt64} AND ($any)
ORDER BY unit, at, received_at, id
