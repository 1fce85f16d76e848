SELECT DISTINCT concat(TraceId, SpanId) AS identity
FROM otel_traces
WHERE TraceId IN {traces:Array(String)}
  AND identity IN {identities:Array(String)}
