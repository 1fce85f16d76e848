CREATE TABLE IF NOT EXISTS otel_requests (
  Signal LowCardinality(String) CODEC(ZSTD(1)),
  Identity FixedString(16),
  ReceivedAt DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ReceivedAt)
ORDER BY ReceivedAt
TTL toDateTime(ReceivedAt) + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
  merge_selector_base = 10, auto_statistics_types = '';

CREATE TABLE IF NOT EXISTS otel_logs (
  Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
  TimestampTime DateTime DEFAULT toDateTime(Timestamp),
  TraceId String CODEC(ZSTD(1)),
  SpanId String CODEC(ZSTD(1)),
  TraceFlags UInt8,
  SeverityText LowCardinality(String) CODEC(ZSTD(1)),
  SeverityNumber UInt8,
  ServiceName LowCardinality(String) CODEC(ZSTD(1)),
  Body String CODEC(ZSTD(1)),
  ResourceSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
  ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  ScopeSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
  ScopeName String CODEC(ZSTD(1)),
  ScopeVersion LowCardinality(String) CODEC(ZSTD(1)),
  ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  LogAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  EventName String CODEC(ZSTD(1)),
  ReceivedAt DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
  INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
  INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_log_attr_key mapKeys(LogAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_log_attr_value mapValues(LogAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_body Body TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8,
  INDEX idx_received_at ReceivedAt TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(Timestamp)
PRIMARY KEY (ServiceName, TimestampTime)
ORDER BY (ServiceName, TimestampTime, Timestamp)
TTL toDateTime(ReceivedAt) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
  merge_selector_base = 10, auto_statistics_types = '';

CREATE TABLE IF NOT EXISTS otel_logs_landing (
  resource_logs Array(Tuple(
    resource Tuple(attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64), bytes_value Nullable(String))))),
    scope_logs Array(Tuple(
      scope Tuple(name String, version String, attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64), bytes_value Nullable(String)))), dropped_attributes_count UInt32),
      log_records Array(Tuple(
        time_unix_nano UInt64,
        observed_time_unix_nano UInt64,
        severity_number Int32,
        severity_text String,
        body Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64), bytes_value Nullable(String)),
        attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64), bytes_value Nullable(String)))),
        flags UInt32,
        trace_id String,
        span_id String,
        event_name String
      )),
      schema_url String
    )),
    schema_url String
  )),
  identity String
)
ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel_logs_landing_to_otel_requests TO otel_requests AS
SELECT 'logs' AS Signal, toFixedString(identity, 16) AS Identity
FROM otel_logs_landing
WHERE length(identity) = 16;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel_logs_landing_to_otel_logs TO otel_logs AS
SELECT
  fromUnixTimestamp64Nano(toInt64(multiIf(
    record.time_unix_nano > 0, record.time_unix_nano,
    record.observed_time_unix_nano > 0, record.observed_time_unix_nano,
    toUInt64(toUnixTimestamp64Nano(now64(9)))
  ))) AS Timestamp,
  if(length(record.trace_id) = 16, lower(hex(record.trace_id)), '') AS TraceId,
  if(length(record.span_id) = 8, lower(hex(record.span_id)), '') AS SpanId,
  toUInt8(bitAnd(record.flags, 255)) AS TraceFlags,
  record.severity_text AS SeverityText,
  toUInt8(least(greatest(record.severity_number, 0), 255)) AS SeverityNumber,
  ResourceAttributes['service.name'] AS ServiceName,
  coalesce(record.body.string_value, toString(record.body.int_value), toString(record.body.double_value), toString(record.body.bool_value), base64Encode(record.body.bytes_value), '') AS Body,
  ResourceSchemaUrl,
  ResourceAttributes,
  ScopeSchemaUrl,
  ScopeName,
  ScopeVersion,
  ScopeAttributes,
  CAST(
    arrayMap(
      a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
      record.attributes
    ),
    'Map(LowCardinality(String), String)'
  ) AS LogAttributes,
  record.event_name AS EventName
FROM (
  SELECT
    arrayJoin(scope_part.log_records) AS record,
    scope_part.scope.name AS ScopeName,
    scope_part.scope.version AS ScopeVersion,
    CAST(
      arrayMap(
        a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
        scope_part.scope.attributes
      ),
      'Map(LowCardinality(String), String)'
    ) AS ScopeAttributes,
    scope_part.schema_url AS ScopeSchemaUrl,
    ResourceAttributes,
    ResourceSchemaUrl
  FROM (
    SELECT
      arrayJoin(part.scope_logs) AS scope_part,
      CAST(
        arrayMap(
          a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
          part.resource.attributes
        ),
        'Map(LowCardinality(String), String)'
      ) AS ResourceAttributes,
      part.schema_url AS ResourceSchemaUrl
    FROM (SELECT arrayJoin(resource_logs) AS part FROM otel_logs_landing)
  )
);
