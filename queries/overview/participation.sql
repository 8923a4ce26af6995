-- What each item took part in: within the visit alone, and over all of the visitor's visits and offline records.
-- Parameters: metric = revenue, dimension = tracking_code, lookback = 30 days, since = 1970-01-01, until = 2200-01-01
SELECT coalesce(in_visit.item, in_visitor.item) AS tracking_code, in_visit.credit AS visit_participation,
       in_visitor.credit AS visitor_participation
FROM participation('revenue', 'tracking_code', 'visitor', lookback => '30 days', since => '1970-01-01', until => '2200-01-01') in_visitor
FULL JOIN participation('revenue', 'tracking_code', 'visit', lookback => '30 days', since => '1970-01-01', until => '2200-01-01') in_visit
  ON in_visit.item IS NOT DISTINCT FROM in_visitor.item
ORDER BY visitor_participation DESC NULLS LAST, 1
