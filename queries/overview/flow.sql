-- From the item that an offline record inherited from its online hit or visitor to the source that brought the record.
-- Parameters: dimension = tracking_code, since = 1970-01-01, until = 2200-01-01
SELECT tracking_code, source, count(*) AS records
FROM events
WHERE row_kind IN ('transaction', 'customer') AND match_status = 'matched'
  AND local_time(hit_time) >= '1970-01-01' AND local_time(hit_time) < '2200-01-01'
GROUP BY tracking_code, source
ORDER BY records DESC, tracking_code, source
