-- snapshots: one row per suite and transaction ID: what the first online hit that bore it had set or persisted.
-- Reads: due_hits (the reported hits to look at), standing_snapshots (former snapshots that compete with them), suites, files.
-- None for a suite whose transaction ID recording is off. Metrics are never held.
WITH borne AS (
  SELECT hits.suite, hits.visitor_key, hits.visitor_id, hits.visit_num, hits.visit_start, hits.hit_time, hits.hit_seq, hits.hit_id_rest,
         hits.file, hits.persisted, CAST(NULL AS VARCHAR) AS snapshot_listed, false AS settled, unnest(transaction_ids(hits.transaction_id)) AS transaction_id
         {{, dimensions of hits}}
  FROM due_hits AS hits
  WHERE hits.transaction_id IS NOT NULL
  UNION ALL
  SELECT standing_snapshots.suite, standing_snapshots.visitor_key, standing_snapshots.visitor_id, standing_snapshots.visit_num, standing_snapshots.visit_start, standing_snapshots.hit_time,
         standing_snapshots.hit_seq, standing_snapshots.hit_id_rest, standing_snapshots.file, standing_snapshots.persisted, standing_snapshots.snapshot_listed, true, standing_snapshots.transaction_id
         {{, dimensions of standing_snapshots}}
  FROM standing_snapshots
), ranked AS (
  -- two hits of one instant and content: the visitor and the file decide, so that the order of loading does not
  SELECT *, row_number() OVER (
           PARTITION BY suite, transaction_id ORDER BY hit_time, hit_seq, hit_id_rest NULLS FIRST, visitor_id, file, settled) AS nth
  FROM borne
), listed AS (
  -- the dimensions that a mapping lists for its file's snapshots
  SELECT suite, file, max(snapshot) AS held FROM files WHERE kind = 'online' AND status = 'loaded' GROUP BY suite, file
)
SELECT ranked.suite, ranked.transaction_id, ranked.visitor_key, ranked.visitor_id, ranked.visit_num, ranked.visit_start,
       ranked.hit_time, ranked.hit_seq, ranked.hit_id_rest, ranked.file, ranked.persisted,
       CASE WHEN ranked.settled THEN ranked.snapshot_listed ELSE listed.held END AS snapshot_listed
       {{, dimensions: CASE WHEN ranked.settled OR snapshot_holds('$', suites.rules, ranked.persisted, listed.held) THEN ranked.$ END AS $}}
FROM ranked
JOIN suites ON suites.suite = ranked.suite AND suites.transaction_id
LEFT JOIN listed ON listed.suite = ranked.suite AND listed.file = ranked.file
WHERE ranked.nth = 1
