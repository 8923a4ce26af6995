-- Rows of events from summary records: no visitor, no visit; they add to the totals of the items that they name.
-- Reads: due_offline, record_places, suites.
WITH record AS (
  SELECT offline.suite, offline.source, offline.file, offline."row", offline.transaction_id, offline.customer_id,
         coalesce(places.first_seq + CAST(CASE WHEN offline."row" < places.last_row THEN offline."row" ELSE places.last_row END AS DECIMAL(38, 0)),
                  offline.hit_seq) AS hit_seq,
         coalesce(offline.record_time, from_local(offline.record_local, suites.time_zone)) AS record_time
         {{, dimensions of offline}}{{, metrics of offline}}
  FROM suites JOIN (record_places AS places RIGHT JOIN due_offline AS offline
    ON places.suite = offline.suite AND places.file = offline.file) ON suites.suite = offline.suite
  WHERE offline.kind = 'summary' AND offline.source <> 'data_feed'
)
SELECT suite, visitor_key(CAST(hit_seq AS VARCHAR)) AS visitor_key, CAST(NULL AS VARCHAR) AS visitor_id,
       concat(source, '/', file, ':', "row") AS event_id, record_time AS hit_time, hit_seq,
       5 AS hit_source, 'summary' AS row_kind, 'summary' AS match_status, transaction_id, customer_id,
       arrow_cast(NULL, 'Timestamp(Microsecond, Some("UTC"))') AS snapshot_time, CAST(NULL AS DECIMAL(38, 0)) AS snapshot_seq, CAST(NULL AS BIGINT) AS snapshot_rest,
       record_time, source, file, "row"{{, dimensions: $}}{{, metrics: $}}
FROM record
