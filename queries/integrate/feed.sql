-- Rows of events that were integrated before they reached a data feed: hit source 5, 8 and 9 are summary rows, 7 are
-- transaction rows with their visitor. What they say is theirs; what they set stands in their _set columns. A transaction
-- row whose ID has a snapshot of the same visitor is tied to its hit. Of a row that several deliveries brought due_offline has the one
-- that counts: if that is excluded, the row is in no report. Reads: due_offline, snapshots, suites.
WITH record AS (
  SELECT offline.suite, offline.source, offline.file, offline."row", offline.hit_seq, offline.hit_id_rest, offline.hit_time, offline.hit_source,
         offline.kind, offline.visitor_id, trim(offline.transaction_id) AS transaction_id, offline.customer_id,
         CASE WHEN offline.kind = 'summary' THEN 'summary' WHEN suites.transaction_id THEN 'matched' ELSE 'disabled' END AS match_status
         {{, dimensions of offline}}{{, touches of offline if flagged}}{{, metrics of offline}}
  FROM due_offline AS offline JOIN suites ON suites.suite = offline.suite
  WHERE offline.source = 'data_feed' AND coalesce(offline.exclude_hit, 0) = 0
)
SELECT record.suite,
       CASE WHEN record.match_status = 'matched' AND record.visitor_id IS NOT NULL THEN visitor_key(record.visitor_id)
            ELSE visitor_key(CAST(record.hit_seq AS VARCHAR)) END AS visitor_key,
       CASE WHEN record.match_status = 'matched' THEN record.visitor_id END AS visitor_id,
       concat('feed:', CAST(record.hit_time AS BIGINT), ':', CAST(record.hit_seq AS VARCHAR), CASE WHEN record.hit_id_rest > 0 THEN concat('.', record.hit_id_rest) END) AS event_id,
       record.hit_time, record.hit_seq, record.hit_id_rest,
       CASE WHEN record.match_status = 'disabled' THEN 5 ELSE record.hit_source END AS hit_source,
       record.kind AS row_kind, record.match_status, record.transaction_id, record.customer_id,
       CASE WHEN record.match_status = 'matched' THEN snapshots.hit_time END AS snapshot_time,
       CASE WHEN record.match_status = 'matched' THEN snapshots.hit_seq END AS snapshot_seq,
       CASE WHEN record.match_status = 'matched' THEN snapshots.hit_id_rest END AS snapshot_rest,
       record.hit_time AS record_time, record.source, record.file, record."row", true AS persisted
       {{, dimensions: record.$}}{{, touches: record."$_set"}}{{, metrics: record.$}}
FROM record
LEFT JOIN snapshots ON snapshots.suite = record.suite AND snapshots.transaction_id = record.transaction_id
  AND snapshots.visitor_id = record.visitor_id
