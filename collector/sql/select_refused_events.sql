SELECT id, received_at, code, path, message, door, call, source, contract, subject_key, size_bytes,
  key_id, expires_at, sealed
FROM quarantine
WHERE id IN {ids:Array(String)} AND expires_at > {now:DateTime('UTC')}
ORDER BY received_at DESC
LIMIT 1 BY id
