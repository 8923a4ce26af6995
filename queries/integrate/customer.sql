-- Rows of events from customer records: each belongs to the visitor whose custom visitor id it bears, at its own time,
-- with its own dimensions. Reads: due_offline, record_places, reported_hits, suites.
-- An id seen on several visitors: the latest visitor seen at or before the record, else the first one seen after it; of two in one place
-- that with the lower id is the first.
WITH record AS (
  SELECT offline.suite, offline.source, offline.file, offline."row",
         coalesce(places.first_seq + CAST(CASE WHEN offline."row" < places.last_row THEN offline."row" ELSE places.last_row END AS DECIMAL(38, 0)),
                  offline.hit_seq) AS hit_seq, offline.transaction_id,
         trim(offline.customer_id) AS customer_id,
         coalesce(offline.record_time, from_local(offline.record_local, suites.time_zone)) AS record_time,
         is_placeholder(offline.customer_id, suites.placeholders) AS nobody
         {{, dimensions of offline}}{{, metrics of offline}}
  FROM suites JOIN (record_places AS places RIGHT JOIN due_offline AS offline
    ON places.suite = offline.suite AND places.file = offline.file) ON suites.suite = offline.suite
  WHERE offline.kind = 'customer' AND offline.source <> 'data_feed'
), sought AS (
  SELECT DISTINCT suite, customer_id FROM record WHERE NOT nobody
), line AS (
  SELECT hits.suite, trim(hits.customer_id) AS customer_id, hits.visitor_id, hits.hit_time AS seen, 0 AS is_record, hits.hit_seq,
         '' AS source, '' AS file, CAST(0 AS BIGINT) AS "row"
  FROM reported_hits AS hits JOIN sought ON sought.suite = hits.suite AND sought.customer_id = trim(hits.customer_id)
  WHERE hits.customer_id IS NOT NULL AND hits.visitor_id IS NOT NULL
  UNION ALL
  SELECT suite, customer_id, CAST(NULL AS VARCHAR), record_time, 1, hit_seq, source, file, "row" FROM record WHERE NOT nobody
), placed AS (
  SELECT suite, source, file, "row", is_record,
         coalesce(
           last_value(visitor_id) IGNORE NULLS OVER (PARTITION BY suite, customer_id ORDER BY seen, is_record, hit_seq, visitor_id
             ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
           first_value(visitor_id) IGNORE NULLS OVER (PARTITION BY suite, customer_id ORDER BY seen, is_record, hit_seq, visitor_id
             ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)) AS visitor_id,
         min(visitor_id) OVER (PARTITION BY suite, customer_id) <> max(visitor_id) OVER (PARTITION BY suite, customer_id) AS several
  FROM line
), judged AS (
  SELECT record.*, placed.visitor_id,
         CASE WHEN placed.visitor_id IS NULL THEN 'unmatched' WHEN placed.several THEN 'ambiguous' ELSE 'matched' END AS match_status
  FROM record
  LEFT JOIN placed ON placed.is_record = 1 AND placed.suite = record.suite AND placed.source = record.source
    AND placed.file = record.file AND placed."row" = record."row"
)
SELECT suite,
       CASE WHEN visitor_id IS NULL THEN visitor_key(CAST(hit_seq AS VARCHAR)) ELSE visitor_key(visitor_id) END AS visitor_key,
       visitor_id, concat(source, '/', file, ':', "row") AS event_id, record_time AS hit_time, hit_seq,
       CASE WHEN visitor_id IS NULL THEN 5 ELSE 7 END AS hit_source, 'customer' AS row_kind, match_status,
       transaction_id, customer_id,
       arrow_cast(NULL, 'Timestamp(Microsecond, Some("UTC"))') AS snapshot_time, CAST(NULL AS DECIMAL(38, 0)) AS snapshot_seq, CAST(NULL AS BIGINT) AS snapshot_rest,
       record_time, source, file, "row"{{, dimensions: $}}{{, metrics: $}}
FROM judged
