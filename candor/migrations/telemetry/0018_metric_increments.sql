CREATE VIEW IF NOT EXISTS metric_increments AS
SELECT toDateTime64(TimeUnix, 3, 'UTC') AS time, MetricName AS name, ServiceName AS service,
  CAST(Attributes, 'Map(String, String)') AS attributes, toNullable(Value) AS value, 1.0 AS weight
FROM otel_metrics_gauge
WHERE TimeUnix >= {since:DateTime64(3, 'UTC')} AND TimeUnix < {until:DateTime64(3, 'UTC')}
  AND bitAnd(Flags, 1) = 0
UNION ALL
SELECT toDateTime64(TimeUnix, 3, 'UTC'), MetricName, ServiceName, CAST(Attributes, 'Map(String, String)'),
  NULL, Value
FROM otel_metrics_sum
WHERE TimeUnix >= {since:DateTime64(3, 'UTC')} AND TimeUnix < {until:DateTime64(3, 'UTC')}
  AND AggregationTemporality = 1 AND IsMonotonic AND bitAnd(Flags, 1) = 0
UNION ALL
SELECT toDateTime64(at, 3, 'UTC'), name, service, attributes, NULL,
  multiIf(
    number = 1, if(started >= {since:DateTime64(3, 'UTC')} - INTERVAL 1 HOUR, total, 0.0),
    started != began OR total < before, total,
    total - before
  )
FROM (
  SELECT TimeUnix AS at, MetricName AS name, ServiceName AS service,
    CAST(Attributes, 'Map(String, String)') AS attributes, StartTimeUnix AS started, Value AS total,
    row_number() OVER way AS number, lagInFrame(Value) OVER way AS before,
    lagInFrame(StartTimeUnix) OVER way AS began
  FROM otel_metrics_sum
  WHERE TimeUnix >= {since:DateTime64(3, 'UTC')} - INTERVAL 1 HOUR
    AND TimeUnix < {until:DateTime64(3, 'UTC')}
    AND AggregationTemporality = 2 AND IsMonotonic AND bitAnd(Flags, 1) = 0
  WINDOW way AS (
    PARTITION BY ServiceName, MetricName, ScopeName, toString(mapSort(Attributes)),
      toString(mapSort(ResourceAttributes))
    ORDER BY TimeUnix ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  )
)
WHERE at >= {since:DateTime64(3, 'UTC')}
UNION ALL
SELECT toDateTime64(at, 3, 'UTC'), name, service, attributes, toNullable(bound), increment
FROM (
  SELECT at, name, service, attributes, arrayPushBack(bounds, inf) AS limits,
    multiIf(
      temporality = 1, arrayMap(one -> toFloat64(one), counts),
      number = 1, if(
        started >= {since:DateTime64(3, 'UTC')} - INTERVAL 1 HOUR,
        arrayMap(one -> toFloat64(one), counts), arrayMap(one -> 0.0, counts)
      ),
      started != began OR total < before OR length(earlier) != length(counts),
      arrayMap(one -> toFloat64(one), counts),
      arrayMap((one, other) -> toFloat64(one) - toFloat64(other), counts, earlier)
    ) AS increments
  FROM (
    SELECT TimeUnix AS at, MetricName AS name, ServiceName AS service,
      CAST(Attributes, 'Map(String, String)') AS attributes, StartTimeUnix AS started, Count AS total,
      BucketCounts AS counts, ExplicitBounds AS bounds, AggregationTemporality AS temporality,
      row_number() OVER way AS number, lagInFrame(Count) OVER way AS before,
      lagInFrame(BucketCounts) OVER way AS earlier, lagInFrame(StartTimeUnix) OVER way AS began
    FROM otel_metrics_histogram
    WHERE TimeUnix >= {since:DateTime64(3, 'UTC')} - INTERVAL 1 HOUR
      AND TimeUnix < {until:DateTime64(3, 'UTC')}
      AND AggregationTemporality IN (1, 2) AND bitAnd(Flags, 1) = 0
      AND length(BucketCounts) = length(ExplicitBounds) + 1
    WINDOW way AS (
      PARTITION BY ServiceName, MetricName, ScopeName, toString(mapSort(Attributes)),
        toString(mapSort(ResourceAttributes)), AggregationTemporality
      ORDER BY TimeUnix ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
  )
  WHERE at >= {since:DateTime64(3, 'UTC')}
)
ARRAY JOIN limits AS bound, increments AS increment;

CREATE TABLE IF NOT EXISTS prometheus_minutes (
  source String,
  time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
  outcome LowCardinality(String),
  weight Float64 CODEC(ZSTD(1)),
  read_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(read_at)
PARTITION BY toYYYYMM(time)
ORDER BY (source, time, outcome)
TTL toDateTime(time) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
  merge_selector_base = 10, auto_statistics_types = '';
