ALTER TABLE events MODIFY SETTING min_bytes_for_wide_part = 134217728;

ALTER TABLE events_by_subject MODIFY SETTING min_bytes_for_wide_part = 134217728;

ALTER TABLE otel_traces MODIFY SETTING min_bytes_for_wide_part = 134217728;

ALTER TABLE otel_traces_trace_id_ts MODIFY SETTING min_bytes_for_wide_part = 134217728;

ALTER TABLE otel_logs MODIFY SETTING min_bytes_for_wide_part = 134217728;
