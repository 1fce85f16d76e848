CREATE TABLE IF NOT EXISTS consent_decisions (
  id String CODEC(ZSTD(1)),
  at DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
  subject_key String CODEC(ZSTD(1)),
  identifiers Array(String) CODEC(ZSTD(1)),
  purpose LowCardinality(String),
  channel LowCardinality(String),
  stage LowCardinality(String),
  jurisdictions Array(LowCardinality(String)),
  recipient LowCardinality(String),
  gpc Bool,
  allow Bool,
  reason LowCardinality(String),
  rule LowCardinality(String),
  evidence String CODEC(ZSTD(1)),
  notice LowCardinality(String),
  valid_until Nullable(DateTime64(6, 'UTC')),
  obligations Array(LowCardinality(String)),
  ledger_turn UInt64 CODEC(DoubleDelta, ZSTD(1)),
  as_of Nullable(DateTime64(6, 'UTC')),
  entry_decision String CODEC(ZSTD(1)),
  caller LowCardinality(String),
  INDEX by_id id TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX by_subject subject_key TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX by_evidence evidence TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (at, id)
TTL toDateTime(at) + INTERVAL 1825 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
  merge_selector_base = 10, auto_statistics_types = '', min_bytes_for_wide_part = 134217728;
