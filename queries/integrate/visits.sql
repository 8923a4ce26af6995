-- visits: one row per visitor, visit number and visit start. Reads: reported_hits. Offline records belong to no visit.
SELECT suite, visitor_id, visit_num, visit_start, max(hit_time) AS visit_end, count(*) AS hits,
       sum(coalesce(page_views, 0)) AS page_views
FROM reported_hits
WHERE visitor_id IS NOT NULL AND visit_num IS NOT NULL
GROUP BY suite, visitor_id, visit_num, visit_start
