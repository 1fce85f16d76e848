SELECT concat(TraceId, SpanId) AS identity
FROM otel_traces
WHERE ReceivedAt >= {since:DateTime64(3, 'UTC')} AND ReceivedAt < {until:DateTime64(3, 'UTC')}
