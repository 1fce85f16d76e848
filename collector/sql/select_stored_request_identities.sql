SELECT DISTINCT concat(Signal, ':', lower(hex(Identity))) AS identity
FROM otel_requests
WHERE identity IN {identities:Array(String)}
