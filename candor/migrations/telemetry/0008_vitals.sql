CREATE TABLE IF NOT EXISTS vitals (
  time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
  received_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
  id String CODEC(ZSTD(1)),
  name LowCardinality(String),
  value Float64 CODEC(ZSTD(1)),
  delta Float64 CODEC(ZSTD(1)),
  rating LowCardinality(String),
  page LowCardinality(String),
  device LowCardinality(String),
  navigation_type LowCardinality(String),
  journey LowCardinality(String),
  step LowCardinality(String),
  source LowCardinality(String),
  parts Map(LowCardinality(String), Float64) CODEC(ZSTD(1)),
  INDEX by_reception received_at TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (name, page, time)
TTL toDateTime(received_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 10, auto_statistics_types = '';

CREATE VIEW IF NOT EXISTS vitals_latest AS
SELECT
  name,
  id,
  min(time) AS measured_at,
  argMax(value, tuple(time, value)) AS latest,
  argMax(rating, tuple(time, value)) AS rating,
  any(page) AS page,
  any(device) AS device,
  any(navigation_type) AS navigation_type,
  any(journey) AS journey,
  any(step) AS step,
  any(source) AS source,
  count() AS beacons
FROM vitals
WHERE time >= {since:DateTime64(3, 'UTC')} AND time < {until:DateTime64(3, 'UTC')}
GROUP BY name, id;
