CREATE TABLE IF NOT EXISTS checks (
  time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
  received_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
  check LowCardinality(String),
  journey LowCardinality(String),
  step LowCardinality(String),
  location LowCardinality(String),
  outcome LowCardinality(String),
  reason LowCardinality(String),
  ends_run Bool,
  status Nullable(UInt16),
  duration_ms Float64 CODEC(ZSTD(1)),
  first_byte_ms Nullable(Float64) CODEC(ZSTD(1)),
  connect_ms Nullable(Float64) CODEC(ZSTD(1)),
  tls_ms Nullable(Float64) CODEC(ZSTD(1)),
  INDEX by_reception received_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(received_at)
PARTITION BY toYYYYMM(time)
ORDER BY (check, location, time, step)
TTL toDateTime(received_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
  merge_selector_base = 10, auto_statistics_types = '';
