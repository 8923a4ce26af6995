-- What became of the records of each offline file at the last rebuild. The rate leaves out rejected and summary records.
SELECT file, source, kind, records, matched, unmatched, expired, ambiguous, disabled, summary, rejected,
       100.0 * matched / nullif(records - summary - rejected, 0) AS matched_percent
FROM join_report
ORDER BY file, source
