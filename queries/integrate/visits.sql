-- visits: one row per visitor, visit number and visit start. Reads: hits. Offline records belong to no visit.
SELECT suite, visitor_id, visit_num, visit_start, max(hit_time) AS visit_end, count(*) AS hits,
       sum(coalesce(page_views, 0)) AS page_views
FROM hits
WHERE coalesce(exclude_hit, 0) = 0 AND visitor_id IS NOT NULL AND visit_num IS NOT NULL
GROUP BY suite, visitor_id, visit_num, visit_start
