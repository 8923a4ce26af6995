-- join_report: one row per offline file: what matched. Reads: files, integrated.
WITH several AS (
  -- suites in which transactions of more than one source matched: in others no ID is shared
  SELECT suite FROM integrated
  WHERE row_kind = 'transaction' AND match_status = 'matched' AND transaction_id IS NOT NULL
  GROUP BY suite HAVING min(source) <> max(source)
), shared AS (
  SELECT integrated.suite, integrated.transaction_id FROM integrated JOIN several ON several.suite = integrated.suite
  WHERE integrated.row_kind = 'transaction' AND integrated.match_status = 'matched' AND integrated.transaction_id IS NOT NULL
  GROUP BY integrated.suite, integrated.transaction_id HAVING min(integrated.source) <> max(integrated.source)
), shared_of_file AS (
  SELECT integrated.suite, integrated.source, integrated.file, count(DISTINCT integrated.transaction_id) AS shared_ids
  FROM integrated
  JOIN shared ON shared.suite = integrated.suite AND shared.transaction_id = integrated.transaction_id
  WHERE integrated.row_kind = 'transaction' AND integrated.match_status = 'matched'
  GROUP BY integrated.suite, integrated.source, integrated.file
), counted AS (
  SELECT suite, source, file, count(*) AS rows_in,
         count(*) FILTER (WHERE match_status = 'matched') AS matched,
         count(*) FILTER (WHERE match_status = 'unmatched') AS unmatched,
         count(*) FILTER (WHERE match_status = 'expired') AS expired,
         count(*) FILTER (WHERE match_status = 'disabled') AS disabled,
         count(*) FILTER (WHERE match_status = 'ambiguous') AS ambiguous,
         count(*) FILTER (WHERE match_status = 'summary') AS summary,
         max(row_kind) AS kind
  FROM integrated GROUP BY suite, source, file
), offered AS (
  SELECT suite, source, file, sum(rejected) AS rejected FROM files
  WHERE kind = 'offline' AND status = 'loaded' GROUP BY suite, source, file
)
SELECT coalesce(counted.suite, offered.suite) AS suite, coalesce(counted.source, offered.source) AS source,
       coalesce(counted.kind, sources.kind) AS kind, coalesce(counted.file, offered.file) AS file,
       coalesce(counted.rows_in, 0) + coalesce(offered.rejected, 0) AS records,
       coalesce(counted.matched, 0) AS matched, coalesce(counted.unmatched, 0) AS unmatched,
       coalesce(counted.expired, 0) AS expired, coalesce(counted.disabled, 0) AS disabled,
       coalesce(counted.ambiguous, 0) AS ambiguous, coalesce(counted.summary, 0) AS summary,
       coalesce(offered.rejected, 0) AS rejected, coalesce(shared_of_file.shared_ids, 0) AS shared_ids
FROM counted
FULL OUTER JOIN offered ON offered.suite = counted.suite AND offered.source = counted.source AND offered.file = counted.file
LEFT JOIN shared_of_file ON shared_of_file.suite = counted.suite AND shared_of_file.source = counted.source AND shared_of_file.file = counted.file
LEFT JOIN sources ON sources.suite = coalesce(counted.suite, offered.suite) AND sources.source = coalesce(counted.source, offered.source)
ORDER BY 1, 2, 4
