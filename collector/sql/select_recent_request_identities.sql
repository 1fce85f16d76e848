SELECT concat(Signal, ':', lower(hex(Identity))) AS identity
FROM otel_requests
WHERE ReceivedAt >= {since:DateTime64(3, 'UTC')} AND ReceivedAt < {until:DateTime64(3, 'UTC')}
