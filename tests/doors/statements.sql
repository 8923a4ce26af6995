-- Asked through every door: the shell, `rejoin query`, psql, psycopg in text and in binary, Flight SQL.
SELECT 1 AS one, 'x' AS text, true AS yes, CAST(NULL AS varchar) AS nothing;
SELECT 0.1 + 0.2 AS double, CAST(12.50 AS decimal(10, 2)) AS money, -7 AS minus, 9223372036854775807 AS large;
SELECT timestamp '2026-09-01 12:00:00.25' AS plain, date '2026-02-28' AS day, arrow_cast('2026-09-01T12:00:00Z', 'Timestamp(Microsecond, Some("UTC"))') AS zoned;
SELECT 'a "b" \ c, {d}' AS quoted, 'ä€𝄞' AS wide, '' AS empty, E'two\nlines' AS lines;
SELECT hit_source, row_kind, match_status, count(*) AS n FROM events GROUP BY ALL ORDER BY 1, 2, 3;
SELECT event_id, visitor_id, hit_time, hit_seq, tracking_code, revenue FROM events ORDER BY event_id LIMIT 50;
SELECT item, credit FROM participation('event12', 'tracking_code') ORDER BY credit DESC, item;
SELECT item, credit FROM participation('orders', 'page_name', 'visit') ORDER BY credit DESC, item;
SELECT item, round(credit, 6) AS credit FROM attribution('revenue', 'tracking_code', 'time_decay', 'visitor', '30 days') ORDER BY item;
SELECT item, first_touch, linear FROM attribution('orders', 'tracking_code', models => 'first_touch,linear') ORDER BY item;
SELECT suite, transaction_id, rules, expiry_days, time_zone FROM suites;
SELECT file, records, matched, unmatched, expired FROM join_report ORDER BY file;
SELECT * FROM visitors ORDER BY visitor_id LIMIT 5;
SELECT [1, 2, NULL] AS numbers, ['a"b', 'c'] AS texts;
SELECT count(*) AS none FROM hits WHERE 1 = 0;
SELECT visitor_id FROM hits WHERE 1 = 0;
EXPLAIN SELECT 1 AS one;
