ALTER TABLE events MODIFY SETTING merge_selector_base = 10, auto_statistics_types = '';

ALTER TABLE events_by_subject MODIFY SETTING merge_selector_base = 10, auto_statistics_types = '';

ALTER TABLE events_by_minute MODIFY SETTING merge_selector_base = 10, auto_statistics_types = '';

ALTER TABLE otel_traces MODIFY SETTING merge_selector_base = 10, auto_statistics_types = '';

ALTER TABLE otel_traces_trace_id_ts MODIFY SETTING merge_selector_base = 10, auto_statistics_types = '';
