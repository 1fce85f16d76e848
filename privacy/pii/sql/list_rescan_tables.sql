SELECT name
FROM system.tables
WHERE database = currentDatabase() AND startsWith(name, 'pii_rescan_')
