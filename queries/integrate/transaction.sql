-- Rows of events from transaction records: each takes, dimension by dimension, its own value, else the snapshot's, and
-- the snapshot's visitor. Reads: due_offline, record_places, snapshots, suites. Metrics stay the record's own. What a matched record
-- itself brought stands beside each dimension (_set): that alone is a touch. A record that takes its hit's products has their
-- lines, too, its amounts divided among them as the hit's were.
WITH record AS (
  SELECT offline.suite, offline.source, offline.file, offline."row",
         coalesce(places.first_seq + CAST(CASE WHEN offline."row" < places.last_row THEN offline."row" ELSE places.last_row END AS DECIMAL(38, 0)),
                  offline.hit_seq) AS hit_seq, offline.received, offline.has_time,
         trim(offline.transaction_id) AS transaction_id, offline.customer_id,
         coalesce(offline.record_time, from_local(offline.record_local, suites.time_zone)) AS record_time,
         suites.rules, suites.transaction_id AS recording, suites.expiry_days, suites.expiry_basis, suites.time_zone
         {{, dimensions of offline}}{{, metrics of offline}}
  FROM suites JOIN (record_places AS places RIGHT JOIN due_offline AS offline
    ON places.suite = offline.suite AND places.file = offline.file) ON suites.suite = offline.suite
  WHERE offline.kind = 'transaction' AND offline.source <> 'data_feed'
), held AS (
  SELECT snapshots.suite, snapshots.transaction_id, snapshots.visitor_key, snapshots.visitor_id,
         snapshots.hit_time AS snapshot_time, snapshots.hit_seq AS snapshot_seq, snapshots.hit_id_rest AS snapshot_rest,
         snapshots.persisted AS of_feed, snapshots.snapshot_listed{{, dimensions of snapshots}}
  FROM snapshots
), judged AS (
  SELECT record.suite, record.source, record.file, record."row", record.hit_seq, record.transaction_id,
         record.customer_id, record.record_time, record.has_time, record.rules, record.time_zone,
         held.visitor_key, held.visitor_id, held.snapshot_time, held.snapshot_seq, held.snapshot_rest, held.of_feed, held.snapshot_listed,
         CASE WHEN NOT record.recording THEN 'disabled'
              WHEN held.transaction_id IS NULL THEN 'unmatched'
              WHEN CASE WHEN record.expiry_basis = 'received' THEN record.received ELSE record.record_time END
                   > CASE WHEN record.rules = 'current'
                          THEN from_local(local_time(held.snapshot_time, record.time_zone) + INTERVAL '25 months', record.time_zone)
                          ELSE days_after(held.snapshot_time, record.expiry_days) END THEN 'expired'
              ELSE 'matched' END AS match_status
         {{, dimensions: record.$ AS "own_$"}}{{, dimensions: held.$ AS "held_$"}}{{, metrics: record.$}},
         CASE WHEN coalesce(CAST(NULL AS VARCHAR){{, dimensions: CASE WHEN '$' IN ('product', 'category', 'product_list') THEN CAST(record.$ AS VARCHAR) END}}) IS NULL
              THEN concat_ws('|', ''{{, metrics: CASE WHEN record.$ <> 0 THEN concat('$=', CAST(record.$ AS VARCHAR)) END}}) END AS amounts
  FROM record
  LEFT JOIN held ON held.suite = record.suite AND held.transaction_id = record.transaction_id
), placed AS (
  -- a date without a time stands right after its online hit of the same day; several at one hit, by whichever ID, follow each
  -- other by file, row and source
  SELECT *, match_status = 'matched' AND NOT has_time AND snapshot_time > record_time
         AND date_trunc('day', local_time(snapshot_time, time_zone)) = date_trunc('day', local_time(record_time, time_zone)) AS moved
  FROM judged
), earlier AS (
  -- classic rules: what an earlier record of the ID was uploaded with is added to its snapshot, if that can hold it
  SELECT *{{, dimensions: first_value("own_$") IGNORE NULLS OVER (
           PARTITION BY suite, transaction_id, match_status
           ORDER BY record_time, file, "row", source ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS "added_$"}}
  FROM placed
)
SELECT suite,
       CASE WHEN match_status = 'matched' THEN visitor_key ELSE visitor_key(CAST(hit_seq AS VARCHAR)) END AS visitor_key,
       CASE WHEN match_status = 'matched' THEN visitor_id END AS visitor_id,
       concat(source, '/', file, ':', "row") AS event_id,
       CASE WHEN moved THEN snapshot_time ELSE record_time END AS hit_time,
       CASE WHEN moved THEN snapshot_seq ELSE hit_seq END AS hit_seq, CAST(NULL AS BIGINT) AS hit_id_rest,
       CASE WHEN match_status = 'matched' THEN 7 ELSE 5 END AS hit_source, 'transaction' AS row_kind, match_status,
       transaction_id, customer_id,
       CASE WHEN match_status = 'matched' THEN snapshot_time END AS snapshot_time,
       CASE WHEN match_status = 'matched' THEN snapshot_seq END AS snapshot_seq,
       CASE WHEN match_status = 'matched' THEN snapshot_rest END AS snapshot_rest,
       record_time, source, file, "row", match_status = 'matched' AS persisted,
       CASE WHEN moved THEN true END AS stands_at_hit
       {{, dimensions: CASE WHEN match_status <> 'matched' THEN "own_$"
            ELSE coalesce("own_$", held_value("held_$", '$', amounts), CASE WHEN rules = 'classic' AND snapshot_holds('$', rules, of_feed, snapshot_listed) THEN "added_$" END)
            END AS $}}{{, touches: "own_$" AS "$_set"}}{{, metrics: $}}
FROM earlier
