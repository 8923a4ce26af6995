-- touched: the IDs whose snapshots are due: those that hits bear which came, went, or are looked at anew.
-- Reads: due_hits, changed_hits.
SELECT DISTINCT suite, unnest(transaction_ids(transaction_id)) AS transaction_id FROM (
  SELECT suite, transaction_id FROM due_hits WHERE transaction_id IS NOT NULL
  UNION ALL
  SELECT suite, transaction_id FROM changed_hits WHERE transaction_id IS NOT NULL
)
