CREATE TABLE IF NOT EXISTS events_by_minute (
  minute DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
  journey LowCardinality(String),
  name LowCardinality(String),
  step LowCardinality(String),
  outcome LowCardinality(String),
  channel LowCardinality(String),
  service LowCardinality(String),
  events SimpleAggregateFunction(sum, UInt64),
  durations SimpleAggregateFunction(sumMap, Map(UInt32, UInt64))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (toStartOfDay(minute), journey, name, step, outcome, channel, service, minute)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
  merge_selector_base = 10, auto_statistics_types = '';

CREATE TABLE IF NOT EXISTS events_by_hour (
  hour DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
  journey LowCardinality(String),
  name LowCardinality(String),
  step LowCardinality(String),
  outcome LowCardinality(String),
  channel LowCardinality(String),
  service LowCardinality(String),
  events SimpleAggregateFunction(sum, UInt64),
  durations SimpleAggregateFunction(sumMap, Map(UInt32, UInt64))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (toStartOfDay(hour), journey, name, step, outcome, channel, service, hour)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
  merge_selector_base = 10, auto_statistics_types = '';

CREATE MATERIALIZED VIEW IF NOT EXISTS events_by_minute_to_events_by_hour TO events_by_hour AS
SELECT
  toStartOfHour(minute) AS hour,
  journey,
  name,
  step,
  outcome,
  channel,
  service,
  sum(events) AS events,
  sumMap(durations) AS durations
FROM events_by_minute
GROUP BY hour, journey, name, step, outcome, channel, service;

TRUNCATE TABLE events_by_minute;

TRUNCATE TABLE events_by_hour;

INSERT INTO events_by_minute
SELECT minute, journey, name, step, outcome, channel, service, events, durations
FROM events_by_minute_of_0003
SETTINGS max_execution_time = 0;

CREATE MATERIALIZED VIEW IF NOT EXISTS events_to_events_by_minute TO events_by_minute AS
SELECT
  toStartOfMinute(time) AS minute,
  journey,
  name,
  step,
  outcome,
  channel,
  service,
  sum(toUInt64(1)) AS events,
  sumMapIf(
    map(
      toUInt32(-roundDown(
        -ifNull(duration_ms, 0),
        [
          -4294967295.0, -600000.0, -300000.0, -120000.0, -60000.0, -45000.0, -30000.0, -20000.0, -15000.0, -10000.0,
          -7500.0, -5000.0, -4000.0, -3000.0, -2500.0, -2000.0, -1500.0, -1200.0, -1000.0, -800.0,
          -750.0, -600.0, -500.0, -400.0, -300.0, -250.0, -200.0, -150.0, -100.0, -75.0,
          -50.0, -25.0, -20.0, -10.0, -5.0, -2.0, -1.0, 0.0
        ]
      )),
      toUInt64(1)
    ),
    isNotNull(duration_ms)
  ) AS durations
FROM events
GROUP BY minute, journey, name, step, outcome, channel, service;
