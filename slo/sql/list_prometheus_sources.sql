SELECT source, max(time) AS newest
FROM prometheus_minutes
GROUP BY source
