CREATE TABLE IF NOT EXISTS otel_metrics_gauge (
  ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  ResourceSchemaUrl String CODEC(ZSTD(1)),
  ScopeName String CODEC(ZSTD(1)),
  ScopeVersion String CODEC(ZSTD(1)),
  ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
  ScopeSchemaUrl String CODEC(ZSTD(1)),
  ServiceName LowCardinality(String) CODEC(ZSTD(1)),
  MetricName String CODEC(ZSTD(1)),
  MetricDescription String CODEC(ZSTD(1)),
  MetricUnit String CODEC(ZSTD(1)),
  Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
  TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
  Value Float64 CODEC(ZSTD(1)),
  Flags UInt32 CODEC(ZSTD(1)),
  Exemplars Nested (
    FilteredAttributes Map(LowCardinality(String), String),
    TimeUnix DateTime64(9),
    Value Float64,
    SpanId String,
    TraceId String
  ) CODEC(ZSTD(1)),
  ReceivedAt DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
  INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(TimeUnix)
ORDER BY (ServiceName, MetricName, Attributes, toUnixTimestamp64Nano(TimeUnix))
TTL toDateTime(ReceivedAt) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
  merge_selector_base = 10, auto_statistics_types = '';

CREATE TABLE IF NOT EXISTS otel_metrics_sum (
  ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  ResourceSchemaUrl String CODEC(ZSTD(1)),
  ScopeName String CODEC(ZSTD(1)),
  ScopeVersion String CODEC(ZSTD(1)),
  ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
  ScopeSchemaUrl String CODEC(ZSTD(1)),
  ServiceName LowCardinality(String) CODEC(ZSTD(1)),
  MetricName String CODEC(ZSTD(1)),
  MetricDescription String CODEC(ZSTD(1)),
  MetricUnit String CODEC(ZSTD(1)),
  Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
  TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
  Value Float64 CODEC(ZSTD(1)),
  Flags UInt32 CODEC(ZSTD(1)),
  Exemplars Nested (
    FilteredAttributes Map(LowCardinality(String), String),
    TimeUnix DateTime64(9),
    Value Float64,
    SpanId String,
    TraceId String
  ) CODEC(ZSTD(1)),
  AggregationTemporality Int32 CODEC(ZSTD(1)),
  IsMonotonic Boolean CODEC(Delta, ZSTD(1)),
  ReceivedAt DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
  INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(TimeUnix)
ORDER BY (ServiceName, MetricName, Attributes, toUnixTimestamp64Nano(TimeUnix))
TTL toDateTime(ReceivedAt) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
  merge_selector_base = 10, auto_statistics_types = '';

CREATE TABLE IF NOT EXISTS otel_metrics_histogram (
  ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  ResourceSchemaUrl String CODEC(ZSTD(1)),
  ScopeName String CODEC(ZSTD(1)),
  ScopeVersion String CODEC(ZSTD(1)),
  ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
  ScopeSchemaUrl String CODEC(ZSTD(1)),
  ServiceName LowCardinality(String) CODEC(ZSTD(1)),
  MetricName String CODEC(ZSTD(1)),
  MetricDescription String CODEC(ZSTD(1)),
  MetricUnit String CODEC(ZSTD(1)),
  Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
  TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
  Count UInt64 CODEC(Delta, ZSTD(1)),
  Sum Float64 CODEC(ZSTD(1)),
  BucketCounts Array(UInt64) CODEC(ZSTD(1)),
  ExplicitBounds Array(Float64) CODEC(ZSTD(1)),
  Exemplars Nested (
    FilteredAttributes Map(LowCardinality(String), String),
    TimeUnix DateTime64(9),
    Value Float64,
    SpanId String,
    TraceId String
  ) CODEC(ZSTD(1)),
  Flags UInt32 CODEC(ZSTD(1)),
  Min Float64 CODEC(ZSTD(1)),
  Max Float64 CODEC(ZSTD(1)),
  AggregationTemporality Int32 CODEC(ZSTD(1)),
  ReceivedAt DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
  INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(TimeUnix)
ORDER BY (ServiceName, MetricName, Attributes, toUnixTimestamp64Nano(TimeUnix))
TTL toDateTime(ReceivedAt) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
  merge_selector_base = 10, auto_statistics_types = '';

CREATE TABLE IF NOT EXISTS otel_metrics_exponential_histogram (
  ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  ResourceSchemaUrl String CODEC(ZSTD(1)),
  ScopeName String CODEC(ZSTD(1)),
  ScopeVersion String CODEC(ZSTD(1)),
  ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
  ScopeSchemaUrl String CODEC(ZSTD(1)),
  ServiceName LowCardinality(String) CODEC(ZSTD(1)),
  MetricName String CODEC(ZSTD(1)),
  MetricDescription String CODEC(ZSTD(1)),
  MetricUnit String CODEC(ZSTD(1)),
  Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
  TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
  Count UInt64 CODEC(Delta, ZSTD(1)),
  Sum Float64 CODEC(ZSTD(1)),
  Scale Int32 CODEC(ZSTD(1)),
  ZeroCount UInt64 CODEC(ZSTD(1)),
  PositiveOffset Int32 CODEC(ZSTD(1)),
  PositiveBucketCounts Array(UInt64) CODEC(ZSTD(1)),
  NegativeOffset Int32 CODEC(ZSTD(1)),
  NegativeBucketCounts Array(UInt64) CODEC(ZSTD(1)),
  Exemplars Nested (
    FilteredAttributes Map(LowCardinality(String), String),
    TimeUnix DateTime64(9),
    Value Float64,
    SpanId String,
    TraceId String
  ) CODEC(ZSTD(1)),
  Flags UInt32 CODEC(ZSTD(1)),
  Min Float64 CODEC(ZSTD(1)),
  Max Float64 CODEC(ZSTD(1)),
  AggregationTemporality Int32 CODEC(ZSTD(1)),
  ReceivedAt DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
  INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(TimeUnix)
ORDER BY (ServiceName, MetricName, Attributes, toUnixTimestamp64Nano(TimeUnix))
TTL toDateTime(ReceivedAt) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
  merge_selector_base = 10, auto_statistics_types = '';

CREATE TABLE IF NOT EXISTS otel_metrics_summary (
  ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  ResourceSchemaUrl String CODEC(ZSTD(1)),
  ScopeName String CODEC(ZSTD(1)),
  ScopeVersion String CODEC(ZSTD(1)),
  ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
  ScopeSchemaUrl String CODEC(ZSTD(1)),
  ServiceName LowCardinality(String) CODEC(ZSTD(1)),
  MetricName String CODEC(ZSTD(1)),
  MetricDescription String CODEC(ZSTD(1)),
  MetricUnit String CODEC(ZSTD(1)),
  Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
  TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
  Count UInt64 CODEC(Delta, ZSTD(1)),
  Sum Float64 CODEC(ZSTD(1)),
  ValueAtQuantiles Nested (
    Quantile Float64,
    Value Float64
  ) CODEC(ZSTD(1)),
  Flags UInt32 CODEC(ZSTD(1)),
  ReceivedAt DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
  INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(TimeUnix)
ORDER BY (ServiceName, MetricName, Attributes, toUnixTimestamp64Nano(TimeUnix))
TTL toDateTime(ReceivedAt) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
  merge_selector_base = 10, auto_statistics_types = '';

CREATE TABLE IF NOT EXISTS otel_metrics_landing (
  resource_metrics Array(Tuple(
    resource Tuple(attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64), bytes_value Nullable(String))))),
    scope_metrics Array(Tuple(
      scope Tuple(name String, version String, attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64), bytes_value Nullable(String)))), dropped_attributes_count UInt32),
      metrics Array(Tuple(
        name String,
        description String,
        unit String,
        gauge Tuple(
          data_points Array(Tuple(
            attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64), bytes_value Nullable(String)))),
            start_time_unix_nano UInt64,
            time_unix_nano UInt64,
            as_double Nullable(Float64),
            as_int Nullable(Int64),
            exemplars Array(Tuple(filtered_attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64), bytes_value Nullable(String)))), time_unix_nano UInt64, as_double Nullable(Float64), as_int Nullable(Int64), span_id String, trace_id String)),
            flags UInt32
          ))
        ),
        sum Tuple(
          data_points Array(Tuple(
            attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64), bytes_value Nullable(String)))),
            start_time_unix_nano UInt64,
            time_unix_nano UInt64,
            as_double Nullable(Float64),
            as_int Nullable(Int64),
            exemplars Array(Tuple(filtered_attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64), bytes_value Nullable(String)))), time_unix_nano UInt64, as_double Nullable(Float64), as_int Nullable(Int64), span_id String, trace_id String)),
            flags UInt32
          )),
          aggregation_temporality Int32,
          is_monotonic Bool
        ),
        histogram Tuple(
          data_points Array(Tuple(
            attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64), bytes_value Nullable(String)))),
            start_time_unix_nano UInt64,
            time_unix_nano UInt64,
            count UInt64,
            sum Nullable(Float64),
            bucket_counts Array(UInt64),
            explicit_bounds Array(Float64),
            exemplars Array(Tuple(filtered_attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64), bytes_value Nullable(String)))), time_unix_nano UInt64, as_double Nullable(Float64), as_int Nullable(Int64), span_id String, trace_id String)),
            min Nullable(Float64),
            max Nullable(Float64),
            flags UInt32
          )),
          aggregation_temporality Int32
        ),
        exponential_histogram Tuple(
          data_points Array(Tuple(
            attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64), bytes_value Nullable(String)))),
            start_time_unix_nano UInt64,
            time_unix_nano UInt64,
            count UInt64,
            sum Nullable(Float64),
            scale Int32,
            zero_count UInt64,
            positive Tuple(offset Int32, bucket_counts Array(UInt64)),
            negative Tuple(offset Int32, bucket_counts Array(UInt64)),
            exemplars Array(Tuple(filtered_attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64), bytes_value Nullable(String)))), time_unix_nano UInt64, as_double Nullable(Float64), as_int Nullable(Int64), span_id String, trace_id String)),
            min Nullable(Float64),
            max Nullable(Float64),
            flags UInt32
          )),
          aggregation_temporality Int32
        ),
        summary Tuple(
          data_points Array(Tuple(
            attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64), bytes_value Nullable(String)))),
            start_time_unix_nano UInt64,
            time_unix_nano UInt64,
            count UInt64,
            sum Float64,
            quantile_values Array(Tuple(quantile Float64, value Float64)),
            flags UInt32
          ))
        )
      )),
      schema_url String
    )),
    schema_url String
  )),
  identity String
)
ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel_metrics_landing_to_otel_requests TO otel_requests AS
SELECT 'metrics' AS Signal, toFixedString(identity, 16) AS Identity
FROM otel_metrics_landing
WHERE length(identity) = 16;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel_metrics_landing_to_otel_metrics_gauge TO otel_metrics_gauge AS
SELECT
  ResourceAttributes,
  ResourceSchemaUrl,
  ScopeName,
  ScopeVersion,
  ScopeAttributes,
  ScopeDroppedAttrCount,
  ScopeSchemaUrl,
  ResourceAttributes['service.name'] AS ServiceName,
  MetricName,
  MetricDescription,
  MetricUnit,
  CAST(
    arrayMap(
      a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
      point.attributes
    ),
    'Map(LowCardinality(String), String)'
  ) AS Attributes,
  fromUnixTimestamp64Nano(toInt64(point.start_time_unix_nano)) AS StartTimeUnix,
  coalesce(point.as_double, toFloat64(point.as_int), 0) AS Value,
  point.flags AS Flags,
  arrayMap(e -> CAST(
    arrayMap(
      a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
      e.filtered_attributes
    ),
    'Map(LowCardinality(String), String)'
  ), point.exemplars) AS `Exemplars.FilteredAttributes`,
  arrayMap(e -> fromUnixTimestamp64Nano(toInt64(e.time_unix_nano)), point.exemplars) AS `Exemplars.TimeUnix`,
  arrayMap(e -> coalesce(e.as_double, toFloat64(e.as_int), 0), point.exemplars) AS `Exemplars.Value`,
  arrayMap(e -> lower(hex(e.span_id)), point.exemplars) AS `Exemplars.SpanId`,
  arrayMap(e -> lower(hex(e.trace_id)), point.exemplars) AS `Exemplars.TraceId`,
  fromUnixTimestamp64Nano(toInt64(point.time_unix_nano)) AS TimeUnix
FROM (
  SELECT
    arrayJoin(metric.gauge.data_points) AS point,
    metric.name AS MetricName,
    metric.description AS MetricDescription,
    metric.unit AS MetricUnit,
    ScopeName,
    ScopeVersion,
    ScopeAttributes,
    ScopeDroppedAttrCount,
    ScopeSchemaUrl,
    ResourceAttributes,
    ResourceSchemaUrl
  FROM (
    SELECT
      arrayJoin(scope_part.metrics) AS metric,
      scope_part.scope.name AS ScopeName,
      scope_part.scope.version AS ScopeVersion,
      CAST(
        arrayMap(
          a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
          scope_part.scope.attributes
        ),
        'Map(LowCardinality(String), String)'
      ) AS ScopeAttributes,
      scope_part.scope.dropped_attributes_count AS ScopeDroppedAttrCount,
      scope_part.schema_url AS ScopeSchemaUrl,
      ResourceAttributes,
      ResourceSchemaUrl
    FROM (
      SELECT
        arrayJoin(part.scope_metrics) AS scope_part,
        CAST(
          arrayMap(
            a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
            part.resource.attributes
          ),
          'Map(LowCardinality(String), String)'
        ) AS ResourceAttributes,
        part.schema_url AS ResourceSchemaUrl
      FROM (SELECT arrayJoin(resource_metrics) AS part FROM otel_metrics_landing)
    )
  )
);

CREATE MATERIALIZED VIEW IF NOT EXISTS otel_metrics_landing_to_otel_metrics_sum TO otel_metrics_sum AS
SELECT
  ResourceAttributes,
  ResourceSchemaUrl,
  ScopeName,
  ScopeVersion,
  ScopeAttributes,
  ScopeDroppedAttrCount,
  ScopeSchemaUrl,
  ResourceAttributes['service.name'] AS ServiceName,
  MetricName,
  MetricDescription,
  MetricUnit,
  CAST(
    arrayMap(
      a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
      point.attributes
    ),
    'Map(LowCardinality(String), String)'
  ) AS Attributes,
  fromUnixTimestamp64Nano(toInt64(point.start_time_unix_nano)) AS StartTimeUnix,
  coalesce(point.as_double, toFloat64(point.as_int), 0) AS Value,
  point.flags AS Flags,
  arrayMap(e -> CAST(
    arrayMap(
      a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
      e.filtered_attributes
    ),
    'Map(LowCardinality(String), String)'
  ), point.exemplars) AS `Exemplars.FilteredAttributes`,
  arrayMap(e -> fromUnixTimestamp64Nano(toInt64(e.time_unix_nano)), point.exemplars) AS `Exemplars.TimeUnix`,
  arrayMap(e -> coalesce(e.as_double, toFloat64(e.as_int), 0), point.exemplars) AS `Exemplars.Value`,
  arrayMap(e -> lower(hex(e.span_id)), point.exemplars) AS `Exemplars.SpanId`,
  arrayMap(e -> lower(hex(e.trace_id)), point.exemplars) AS `Exemplars.TraceId`,
  AggregationTemporality,
  IsMonotonic,
  fromUnixTimestamp64Nano(toInt64(point.time_unix_nano)) AS TimeUnix
FROM (
  SELECT
    arrayJoin(metric.sum.data_points) AS point,
    metric.name AS MetricName,
    metric.description AS MetricDescription,
    metric.unit AS MetricUnit,
    metric.sum.aggregation_temporality AS AggregationTemporality,
    metric.sum.is_monotonic AS IsMonotonic,
    ScopeName,
    ScopeVersion,
    ScopeAttributes,
    ScopeDroppedAttrCount,
    ScopeSchemaUrl,
    ResourceAttributes,
    ResourceSchemaUrl
  FROM (
    SELECT
      arrayJoin(scope_part.metrics) AS metric,
      scope_part.scope.name AS ScopeName,
      scope_part.scope.version AS ScopeVersion,
      CAST(
        arrayMap(
          a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
          scope_part.scope.attributes
        ),
        'Map(LowCardinality(String), String)'
      ) AS ScopeAttributes,
      scope_part.scope.dropped_attributes_count AS ScopeDroppedAttrCount,
      scope_part.schema_url AS ScopeSchemaUrl,
      ResourceAttributes,
      ResourceSchemaUrl
    FROM (
      SELECT
        arrayJoin(part.scope_metrics) AS scope_part,
        CAST(
          arrayMap(
            a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
            part.resource.attributes
          ),
          'Map(LowCardinality(String), String)'
        ) AS ResourceAttributes,
        part.schema_url AS ResourceSchemaUrl
      FROM (SELECT arrayJoin(resource_metrics) AS part FROM otel_metrics_landing)
    )
  )
);

CREATE MATERIALIZED VIEW IF NOT EXISTS otel_metrics_landing_to_otel_metrics_histogram TO otel_metrics_histogram AS
SELECT
  ResourceAttributes,
  ResourceSchemaUrl,
  ScopeName,
  ScopeVersion,
  ScopeAttributes,
  ScopeDroppedAttrCount,
  ScopeSchemaUrl,
  ResourceAttributes['service.name'] AS ServiceName,
  MetricName,
  MetricDescription,
  MetricUnit,
  CAST(
    arrayMap(
      a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
      point.attributes
    ),
    'Map(LowCardinality(String), String)'
  ) AS Attributes,
  fromUnixTimestamp64Nano(toInt64(point.start_time_unix_nano)) AS StartTimeUnix,
  point.count AS Count,
  coalesce(point.sum, 0) AS Sum,
  point.bucket_counts AS BucketCounts,
  point.explicit_bounds AS ExplicitBounds,
  arrayMap(e -> CAST(
    arrayMap(
      a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
      e.filtered_attributes
    ),
    'Map(LowCardinality(String), String)'
  ), point.exemplars) AS `Exemplars.FilteredAttributes`,
  arrayMap(e -> fromUnixTimestamp64Nano(toInt64(e.time_unix_nano)), point.exemplars) AS `Exemplars.TimeUnix`,
  arrayMap(e -> coalesce(e.as_double, toFloat64(e.as_int), 0), point.exemplars) AS `Exemplars.Value`,
  arrayMap(e -> lower(hex(e.span_id)), point.exemplars) AS `Exemplars.SpanId`,
  arrayMap(e -> lower(hex(e.trace_id)), point.exemplars) AS `Exemplars.TraceId`,
  point.flags AS Flags,
  coalesce(point.min, 0) AS Min,
  coalesce(point.max, 0) AS Max,
  AggregationTemporality,
  fromUnixTimestamp64Nano(toInt64(point.time_unix_nano)) AS TimeUnix
FROM (
  SELECT
    arrayJoin(metric.histogram.data_points) AS point,
    metric.name AS MetricName,
    metric.description AS MetricDescription,
    metric.unit AS MetricUnit,
    metric.histogram.aggregation_temporality AS AggregationTemporality,
    ScopeName,
    ScopeVersion,
    ScopeAttributes,
    ScopeDroppedAttrCount,
    ScopeSchemaUrl,
    ResourceAttributes,
    ResourceSchemaUrl
  FROM (
    SELECT
      arrayJoin(scope_part.metrics) AS metric,
      scope_part.scope.name AS ScopeName,
      scope_part.scope.version AS ScopeVersion,
      CAST(
        arrayMap(
          a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
          scope_part.scope.attributes
        ),
        'Map(LowCardinality(String), String)'
      ) AS ScopeAttributes,
      scope_part.scope.dropped_attributes_count AS ScopeDroppedAttrCount,
      scope_part.schema_url AS ScopeSchemaUrl,
      ResourceAttributes,
      ResourceSchemaUrl
    FROM (
      SELECT
        arrayJoin(part.scope_metrics) AS scope_part,
        CAST(
          arrayMap(
            a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
            part.resource.attributes
          ),
          'Map(LowCardinality(String), String)'
        ) AS ResourceAttributes,
        part.schema_url AS ResourceSchemaUrl
      FROM (SELECT arrayJoin(resource_metrics) AS part FROM otel_metrics_landing)
    )
  )
);

CREATE MATERIALIZED VIEW IF NOT EXISTS otel_metrics_landing_to_otel_metrics_exponential_histogram TO otel_metrics_exponential_histogram AS
SELECT
  ResourceAttributes,
  ResourceSchemaUrl,
  ScopeName,
  ScopeVersion,
  ScopeAttributes,
  ScopeDroppedAttrCount,
  ScopeSchemaUrl,
  ResourceAttributes['service.name'] AS ServiceName,
  MetricName,
  MetricDescription,
  MetricUnit,
  CAST(
    arrayMap(
      a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
      point.attributes
    ),
    'Map(LowCardinality(String), String)'
  ) AS Attributes,
  fromUnixTimestamp64Nano(toInt64(point.start_time_unix_nano)) AS StartTimeUnix,
  point.count AS Count,
  coalesce(point.sum, 0) AS Sum,
  point.scale AS Scale,
  point.zero_count AS ZeroCount,
  point.positive.offset AS PositiveOffset,
  point.positive.bucket_counts AS PositiveBucketCounts,
  point.negative.offset AS NegativeOffset,
  point.negative.bucket_counts AS NegativeBucketCounts,
  arrayMap(e -> CAST(
    arrayMap(
      a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
      e.filtered_attributes
    ),
    'Map(LowCardinality(String), String)'
  ), point.exemplars) AS `Exemplars.FilteredAttributes`,
  arrayMap(e -> fromUnixTimestamp64Nano(toInt64(e.time_unix_nano)), point.exemplars) AS `Exemplars.TimeUnix`,
  arrayMap(e -> coalesce(e.as_double, toFloat64(e.as_int), 0), point.exemplars) AS `Exemplars.Value`,
  arrayMap(e -> lower(hex(e.span_id)), point.exemplars) AS `Exemplars.SpanId`,
  arrayMap(e -> lower(hex(e.trace_id)), point.exemplars) AS `Exemplars.TraceId`,
  point.flags AS Flags,
  coalesce(point.min, 0) AS Min,
  coalesce(point.max, 0) AS Max,
  AggregationTemporality,
  fromUnixTimestamp64Nano(toInt64(point.time_unix_nano)) AS TimeUnix
FROM (
  SELECT
    arrayJoin(metric.exponential_histogram.data_points) AS point,
    metric.name AS MetricName,
    metric.description AS MetricDescription,
    metric.unit AS MetricUnit,
    metric.exponential_histogram.aggregation_temporality AS AggregationTemporality,
    ScopeName,
    ScopeVersion,
    ScopeAttributes,
    ScopeDroppedAttrCount,
    ScopeSchemaUrl,
    ResourceAttributes,
    ResourceSchemaUrl
  FROM (
    SELECT
      arrayJoin(scope_part.metrics) AS metric,
      scope_part.scope.name AS ScopeName,
      scope_part.scope.version AS ScopeVersion,
      CAST(
        arrayMap(
          a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
          scope_part.scope.attributes
        ),
        'Map(LowCardinality(String), String)'
      ) AS ScopeAttributes,
      scope_part.scope.dropped_attributes_count AS ScopeDroppedAttrCount,
      scope_part.schema_url AS ScopeSchemaUrl,
      ResourceAttributes,
      ResourceSchemaUrl
    FROM (
      SELECT
        arrayJoin(part.scope_metrics) AS scope_part,
        CAST(
          arrayMap(
            a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
            part.resource.attributes
          ),
          'Map(LowCardinality(String), String)'
        ) AS ResourceAttributes,
        part.schema_url AS ResourceSchemaUrl
      FROM (SELECT arrayJoin(resource_metrics) AS part FROM otel_metrics_landing)
    )
  )
);

CREATE MATERIALIZED VIEW IF NOT EXISTS otel_metrics_landing_to_otel_metrics_summary TO otel_metrics_summary AS
SELECT
  ResourceAttributes,
  ResourceSchemaUrl,
  ScopeName,
  ScopeVersion,
  ScopeAttributes,
  ScopeDroppedAttrCount,
  ScopeSchemaUrl,
  ResourceAttributes['service.name'] AS ServiceName,
  MetricName,
  MetricDescription,
  MetricUnit,
  CAST(
    arrayMap(
      a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
      point.attributes
    ),
    'Map(LowCardinality(String), String)'
  ) AS Attributes,
  fromUnixTimestamp64Nano(toInt64(point.start_time_unix_nano)) AS StartTimeUnix,
  point.count AS Count,
  point.sum AS Sum,
  point.quantile_values.quantile AS `ValueAtQuantiles.Quantile`,
  point.quantile_values.value AS `ValueAtQuantiles.Value`,
  point.flags AS Flags,
  fromUnixTimestamp64Nano(toInt64(point.time_unix_nano)) AS TimeUnix
FROM (
  SELECT
    arrayJoin(metric.summary.data_points) AS point,
    metric.name AS MetricName,
    metric.description AS MetricDescription,
    metric.unit AS MetricUnit,
    ScopeName,
    ScopeVersion,
    ScopeAttributes,
    ScopeDroppedAttrCount,
    ScopeSchemaUrl,
    ResourceAttributes,
    ResourceSchemaUrl
  FROM (
    SELECT
      arrayJoin(scope_part.metrics) AS metric,
      scope_part.scope.name AS ScopeName,
      scope_part.scope.version AS ScopeVersion,
      CAST(
        arrayMap(
          a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
          scope_part.scope.attributes
        ),
        'Map(LowCardinality(String), String)'
      ) AS ScopeAttributes,
      scope_part.scope.dropped_attributes_count AS ScopeDroppedAttrCount,
      scope_part.schema_url AS ScopeSchemaUrl,
      ResourceAttributes,
      ResourceSchemaUrl
    FROM (
      SELECT
        arrayJoin(part.scope_metrics) AS scope_part,
        CAST(
          arrayMap(
            a -> (a.key, coalesce(a.value.string_value, toString(a.value.int_value), toString(a.value.double_value), toString(a.value.bool_value), base64Encode(a.value.bytes_value), '')),
            part.resource.attributes
          ),
          'Map(LowCardinality(String), String)'
        ) AS ResourceAttributes,
        part.schema_url AS ResourceSchemaUrl
      FROM (SELECT arrayJoin(resource_metrics) AS part FROM otel_metrics_landing)
    )
  )
);
