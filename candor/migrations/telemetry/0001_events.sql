CREATE TABLE IF NOT EXISTS events (
  id String CODEC(ZSTD(1)),
  door LowCardinality(String),
  name LowCardinality(String),
  schema LowCardinality(String),
  time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
  received_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
  journey LowCardinality(String),
  instance String CODEC(ZSTD(1)),
  step LowCardinality(String),
  outcome LowCardinality(String),
  channel LowCardinality(String),
  service LowCardinality(String),
  duration_ms Nullable(Float64) CODEC(ZSTD(1)),
  subject_key String CODEC(ZSTD(1)),
  subject_type LowCardinality(String),
  error_code LowCardinality(String),
  experiment LowCardinality(String),
  variant LowCardinality(String),
  amount Nullable(Decimal(18, 4)),
  currency LowCardinality(String),
  attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  INDEX by_subject subject_key TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX by_reception received_at TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (journey, name, time)
TTL toDateTime(received_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS events_landing (
  id String,
  door String,
  name String,
  schema String,
  time DateTime64(3, 'UTC'),
  received_at DateTime64(3, 'UTC'),
  journey String,
  instance String,
  step String,
  outcome String,
  channel String,
  service String,
  duration_ms Nullable(Float64),
  subject_key String,
  subject_type String,
  error_code String,
  experiment String,
  variant String,
  amount Nullable(Decimal(18, 4)),
  currency String,
  attributes Map(String, String)
)
ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS events_landing_to_events TO events AS
SELECT * FROM events_landing;

CREATE TABLE IF NOT EXISTS events_by_subject (
  subject_key String CODEC(ZSTD(1)),
  time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
  journey LowCardinality(String),
  name LowCardinality(String),
  received_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (subject_key, time)
TTL toDateTime(received_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS events_to_events_by_subject TO events_by_subject AS
SELECT subject_key, time, journey, name, received_at
FROM events
WHERE subject_key != '';
