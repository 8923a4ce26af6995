-- Rows of events from summary records: no visitor, no visit; they add to the totals of the items that they name.
-- Reads: due_offline, suites.
SELECT offline.suite, visitor_key(CAST(offline.hit_seq AS VARCHAR)) AS visitor_key, CAST(NULL AS VARCHAR) AS visitor_id,
       concat(offline.source, '/', offline.file, ':', offline."row") AS event_id,
       coalesce(offline.record_time, from_local(offline.record_local, suites.time_zone)) AS hit_time, offline.hit_seq,
       5 AS hit_source, 'summary' AS row_kind, 'summary' AS match_status, offline.transaction_id, offline.customer_id,
       arrow_cast(NULL, 'Timestamp(Microsecond, Some("UTC"))') AS snapshot_time, CAST(NULL AS DECIMAL(38, 0)) AS snapshot_seq, CAST(NULL AS BIGINT) AS snapshot_rest,
       coalesce(offline.record_time, from_local(offline.record_local, suites.time_zone)) AS record_time,
       offline.source, offline.file, offline."row"{{, dimensions of offline}}{{, metrics of offline}}
FROM due_offline AS offline JOIN suites ON suites.suite = offline.suite
WHERE offline.kind = 'summary' AND offline.source <> 'data_feed'
