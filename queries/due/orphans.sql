-- orphans: IDs whose first hit, of which the snapshot was taken, went, or may count no more; another hit may bear them.
-- Reads: former_snapshots, gone_hits, again_visitors.
SELECT former.suite, former.transaction_id FROM former_snapshots AS former
WHERE EXISTS (SELECT 1 FROM gone_hits AS gone WHERE gone.suite = former.suite AND gone.file = former.file)
UNION
SELECT former.suite, former.transaction_id FROM former_snapshots AS former
WHERE EXISTS (SELECT 1 FROM again_visitors WHERE again_visitors.visitor_key = former.visitor_key)