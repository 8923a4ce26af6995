-- The metric by day, online and offline, each row on its own day in the suite's time zone.
-- Parameters: metric = revenue, since = 1970-01-01, until = 2200-01-01
SELECT CAST(local_time(hit_time) AS DATE) AS day, sum(CASE WHEN row_kind = 'online' THEN revenue ELSE 0 END) AS online,
       sum(CASE WHEN row_kind <> 'online' THEN revenue ELSE 0 END) AS offline
FROM events
WHERE revenue <> 0 AND local_time(hit_time) >= '1970-01-01' AND local_time(hit_time) < '2200-01-01'
GROUP BY 1
ORDER BY 1
