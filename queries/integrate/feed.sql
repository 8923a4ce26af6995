-- Rows of events that were integrated before they reached a data feed: hit source 5, 8 and 9 are summary rows, 7 are
-- transaction rows with their visitor. Reads: due_offline.
SELECT offline.suite,
       CASE WHEN offline.visitor_id IS NULL THEN visitor_key(CAST(offline.hit_seq AS VARCHAR)) ELSE visitor_key(offline.visitor_id) END AS visitor_key,
       offline.visitor_id, concat('feed:', CAST(offline.hit_seq AS VARCHAR)) AS event_id, offline.hit_time, offline.hit_seq,
       offline.hit_source, offline.kind AS row_kind,
       CASE WHEN offline.kind = 'summary' THEN 'summary' ELSE 'matched' END AS match_status,
       offline.transaction_id, offline.customer_id,
       arrow_cast(NULL, 'Timestamp(Microsecond, Some("UTC"))') AS snapshot_time, CAST(NULL AS DECIMAL(38, 0)) AS snapshot_seq,
       offline.hit_time AS record_time, offline.source, offline.file, offline."row"
       {{, dimensions of offline}}{{, metrics of offline}}
FROM due_offline AS offline
WHERE offline.source = 'data_feed'
