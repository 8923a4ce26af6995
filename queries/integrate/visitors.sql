-- visitors: one row per visitor. Reads: reported_hits. Offline records make no visitors.
SELECT suite, visitor_id, min(hit_time) AS first_hit, max(hit_time) AS last_hit, count(*) AS hits,
       count(DISTINCT (visit_num, visit_start)) AS visits, sum(coalesce(page_views, 0)) AS page_views
FROM reported_hits
WHERE visitor_id IS NOT NULL
GROUP BY suite, visitor_id
