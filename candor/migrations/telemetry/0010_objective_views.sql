CREATE VIEW IF NOT EXISTS spans AS
SELECT
  toDateTime64(Timestamp, 3, 'UTC') AS time,
  SpanName AS name,
  ServiceName AS service,
  SpanKind AS kind,
  StatusCode AS status_code,
  toFloat64(Duration) / 1000000 AS duration_ms,
  SpanAttributes AS attributes
FROM otel_traces;

CREATE VIEW IF NOT EXISTS log_records AS
SELECT
  toDateTime64(Timestamp, 3, 'UTC') AS time,
  EventName AS name,
  ServiceName AS service,
  SeverityText AS severity,
  toFloat64(SeverityNumber) AS severity_number,
  LogAttributes AS attributes
FROM otel_logs;
