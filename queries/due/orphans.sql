-- orphans: IDs whose first hit, of which the snapshot was taken, went; another hit may bear them.
-- Reads: former_snapshots, gone_hits.
SELECT DISTINCT former.suite, former.transaction_id FROM former_snapshots AS former
WHERE EXISTS (SELECT 1 FROM gone_hits AS gone WHERE gone.suite = former.suite AND gone.file = former.file)
