-- due_sequences: the sequences of records that are due, and what else tells them apart. Reads: due_offline, suites.
SELECT due.suite, due.source, due.file, due."row", due.hit_seq,
       coalesce(due.record_time, from_local(due.record_local, suites.time_zone)) AS record_time
FROM due_offline AS due JOIN suites ON suites.suite = due.suite
WHERE due.source <> 'data_feed'
