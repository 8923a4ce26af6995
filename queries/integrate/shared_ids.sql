-- shared_ids: per offline file, of how many of its transaction IDs a record of another source matched, too. Reads: integrated.
WITH several AS (
  -- suites in which transactions of more than one source matched: in others no ID is shared
  SELECT suite FROM integrated
  WHERE row_kind = 'transaction' AND match_status = 'matched' AND transaction_id IS NOT NULL
  GROUP BY suite HAVING min(source) <> max(source)
), shared AS (
  SELECT integrated.suite, integrated.transaction_id FROM integrated JOIN several ON several.suite = integrated.suite
  WHERE integrated.row_kind = 'transaction' AND integrated.match_status = 'matched' AND integrated.transaction_id IS NOT NULL
  GROUP BY integrated.suite, integrated.transaction_id HAVING min(integrated.source) <> max(integrated.source)
)
SELECT integrated.suite, integrated.source, integrated.file, count(DISTINCT integrated.transaction_id) AS shared_ids
FROM integrated
JOIN shared ON shared.suite = integrated.suite AND shared.transaction_id = integrated.transaction_id
WHERE integrated.row_kind = 'transaction' AND integrated.match_status = 'matched'
GROUP BY integrated.suite, integrated.source, integrated.file
