-- events: one row per reported online hit and per integrated offline record. Reads: reported_hits, integrated.
-- Beside a dimension whose value a row may merely carry, its column _set says what the row itself set or brought.
-- Both sides are sorted alike, so reading them as one time line needs no sort. Of rows in one place hits come first, then records by
-- file, row and source.
SELECT hits.suite, concat(hits.visitor_key, ':', CAST(hits.hit_time AS BIGINT), ':', CAST(hits.hit_seq AS VARCHAR), CASE WHEN hits.hit_id_rest > 0 THEN concat('.', hits.hit_id_rest) END) AS event_id, hits.visitor_id, hits.visit_num, hits.visit_start,
       hits.hit_time, hits.hit_source, 'online' AS row_kind, 'online' AS match_status, hits.transaction_id,
       arrow_cast(NULL, 'Timestamp(Microsecond, Some("UTC"))') AS snapshot_time, arrow_cast(NULL, 'Timestamp(Microsecond, Some("UTC"))') AS record_time,
       hits.hit_seq, arrow_cast(NULL, 'Utf8') AS source, hits.file, CAST(NULL AS BIGINT) AS "row", hits.customer_id, hits.visitor_key,
       CAST(NULL AS DECIMAL(38, 0)) AS snapshot_seq, hits.hit_id_rest, CAST(NULL AS BIGINT) AS snapshot_rest, coalesce(hits.persisted, false) AS persisted
       {{, dimensions of hits}}{{, touches of hits if flagged}}, CAST(1 AS DOUBLE) AS occurrences{{, metrics of hits}}
FROM reported_hits AS hits
UNION ALL
SELECT integrated.suite, integrated.event_id, integrated.visitor_id, CAST(NULL AS BIGINT), arrow_cast(NULL, 'Timestamp(Microsecond, Some("UTC"))'),
       integrated.hit_time, integrated.hit_source, integrated.row_kind, integrated.match_status, integrated.transaction_id,
       integrated.snapshot_time, integrated.record_time,
       integrated.hit_seq, integrated.source, integrated.file, integrated."row", integrated.customer_id, integrated.visitor_key,
       integrated.snapshot_seq, integrated.hit_id_rest, integrated.snapshot_rest, coalesce(integrated.persisted, false)
       {{, dimensions of integrated}}{{, touches of integrated if integrated.persisted}}, CAST(1 AS DOUBLE){{, metrics of integrated}}
FROM integrated
