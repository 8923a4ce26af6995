-- Hits that may bear an orphan. Which IDs a list holds is told later, so lists come whole. Reads: hits, orphans.
SELECT hits.* FROM hits
WHERE hits.transaction_id IS NOT NULL AND EXISTS (
  SELECT 1 FROM orphans WHERE orphans.suite = hits.suite AND orphans.transaction_id = trim(hits.transaction_id))
UNION ALL
SELECT hits.* FROM hits WHERE strpos(hits.transaction_id, ',') > 0
