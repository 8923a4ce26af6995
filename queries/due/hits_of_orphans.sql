-- Hits that may bear an orphan. Which IDs a list holds is told later, so lists come whole. Reads: reported_hits, orphans.
SELECT hits.* FROM reported_hits AS hits
WHERE hits.transaction_id IS NOT NULL AND EXISTS (
  SELECT 1 FROM orphans WHERE orphans.suite = hits.suite AND orphans.transaction_id = trim(hits.transaction_id))
UNION ALL
SELECT hits.* FROM reported_hits AS hits WHERE strpos(hits.transaction_id, ',') > 0
