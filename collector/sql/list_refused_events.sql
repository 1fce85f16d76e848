SELECT id, received_at, code, path, message, door, call, source, contract, subject_key, size_bytes,
  key_id, expires_at
FROM quarantine
WHERE received_at >= {since:DateTime64(3, 'UTC')}
  AND expires_at > {now:DateTime('UTC')}
  AND ({code:String} = '' OR code = {code:String})
ORDER BY received_at DESC, id
LIMIT 1 BY id
LIMIT {limit:UInt32}
