-- What became of the records of each offline file at the last rebuild. The rates leave out rejected and summary records; tied
-- to a visitor is a record that matched, and one that several visitors could have had (ambiguous).
SELECT file, source, kind, records, matched, unmatched, expired, ambiguous, disabled, summary, rejected,
       100.0 * matched / nullif(records - summary - rejected, 0) AS matched_percent,
       100.0 * (matched + ambiguous) / nullif(records - summary - rejected, 0) AS tied_percent
FROM join_report
ORDER BY file, source
