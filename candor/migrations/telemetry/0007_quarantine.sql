CREATE TABLE IF NOT EXISTS quarantine (
  id String,
  received_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
  code LowCardinality(String),
  path String CODEC(ZSTD(1)),
  message LowCardinality(String),
  door LowCardinality(String),
  call LowCardinality(String),
  source LowCardinality(String),
  contract LowCardinality(String),
  event_digest String,
  subject_key String CODEC(ZSTD(1)),
  size_bytes UInt32,
  key_id LowCardinality(String),
  expires_at DateTime('UTC'),
  sealed String CODEC(NONE),
  INDEX by_subject subject_key TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX by_id id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(expires_at)
ORDER BY (received_at, id)
TTL expires_at
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
  ttl_only_drop_parts = 1, merge_selector_base = 10, auto_statistics_types = '';
