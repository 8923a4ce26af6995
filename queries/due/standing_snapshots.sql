-- standing_snapshots: former snapshots that stand unless a hit that is due was earlier: their own hit is still there, and is not among
-- those that are due. Reads: former_snapshots, touched, gone_hits, due_visitors.
SELECT former.* FROM former_snapshots AS former
WHERE EXISTS (SELECT 1 FROM touched
              WHERE touched.suite = former.suite AND touched.transaction_id = former.transaction_id)
  AND NOT EXISTS (SELECT 1 FROM gone_hits AS gone WHERE gone.suite = former.suite AND gone.file = former.file)
  AND NOT EXISTS (SELECT 1 FROM due_visitors WHERE due_visitors.visitor_key = former.visitor_key)
