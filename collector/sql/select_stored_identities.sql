SELECT DISTINCT concat(door, ':', id) AS identity
FROM events
WHERE journey IN {journeys:Array(String)}
  AND name IN {names:Array(String)}
  AND time IN {times:Array(DateTime64(3, 'UTC'))}
  AND identity IN {identities:Array(String)}
