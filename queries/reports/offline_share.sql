-- The part of a metric that came offline (stores, call centres, CRM), by the value that the row had or inherited; what is
-- largest in size comes first, returns included.
-- Parameters: metric = revenue, dimension = tracking_code, since = 1970-01-01, until = 2200-01-01
SELECT tracking_code, sum(revenue) AS revenue, sum(CASE WHEN row_kind <> 'online' THEN revenue ELSE 0 END) AS offline,
       sum(CASE WHEN row_kind <> 'online' THEN revenue ELSE 0 END) / nullif(sum(revenue), 0) AS offline_share
FROM events
WHERE revenue <> 0 AND local_time(hit_time) >= '1970-01-01' AND local_time(hit_time) < '2200-01-01'
GROUP BY tracking_code
ORDER BY abs(offline) DESC, tracking_code
