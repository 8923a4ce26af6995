-- join_report: one row per offline file: what matched. Reads: files, integrated, shared_ids.
WITH counted AS (
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
       coalesce(offered.rejected, 0) AS rejected, coalesce(shared_ids.shared_ids, 0) AS shared_ids
FROM counted
FULL OUTER JOIN offered ON offered.suite = counted.suite AND offered.source = counted.source AND offered.file = counted.file
LEFT JOIN shared_ids ON shared_ids.suite = counted.suite AND shared_ids.source = counted.source AND shared_ids.file = counted.file
LEFT JOIN sources ON sources.suite = coalesce(counted.suite, offered.suite) AND sources.source = coalesce(counted.source, offered.source)
ORDER BY 1, 2, 4
