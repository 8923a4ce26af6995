-- How much each page leads on: page views at and after each view of it in the visit, per visit that saw it.
-- Parameters: metric = page_views, dimension = page_name, since = 1970-01-01, until = 2200-01-01
WITH seen AS (
  SELECT page_name, count(*) AS visits
  FROM (SELECT DISTINCT page_name, visitor_id, visit_num, visit_start FROM events
        WHERE row_kind = 'online' AND visitor_id IS NOT NULL AND visit_num IS NOT NULL AND page_name IS NOT NULL
          AND local_time(hit_time) >= '1970-01-01' AND local_time(hit_time) < '2200-01-01')
  GROUP BY page_name
)
SELECT seen.page_name, led.credit AS participation, seen.visits, led.credit / seen.visits AS content_velocity
FROM participation('page_views', 'page_name', 'visit', since => '1970-01-01', until => '2200-01-01', deduplicate => false) led
JOIN seen ON seen.page_name = led.item
ORDER BY content_velocity DESC, seen.page_name
