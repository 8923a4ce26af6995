-- The snapshots that stay as they are. Reads: former_snapshots, touched.
SELECT former.* FROM former_snapshots AS former
WHERE NOT EXISTS (SELECT 1 FROM touched
                  WHERE touched.suite = former.suite AND touched.transaction_id = former.transaction_id)
