-- The visitors' keys of snapshots that are due. Reads: former_snapshots, touched.
SELECT former.visitor_key FROM former_snapshots AS former
WHERE EXISTS (SELECT 1 FROM touched
              WHERE touched.suite = former.suite AND touched.transaction_id = former.transaction_id)
