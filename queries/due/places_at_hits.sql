-- places_at_hits: the hits at which records that are due may come to stand. Reads: snapshots, stale.
SELECT snapshots.suite, snapshots.visitor_key, snapshots.visitor_id, snapshots.hit_time, snapshots.hit_seq FROM snapshots
WHERE EXISTS (SELECT 1 FROM stale
              WHERE stale.kind = 'transaction' AND stale.suite = snapshots.suite AND stale.id = snapshots.transaction_id)
