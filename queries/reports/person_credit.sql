-- Credit within the journeys of visitors beside credit within those of persons, for the same conversions. Persons must be on (rejoin help persons).
-- Parameters: metric = orders, dimension = tracking_code, model = linear, lookback = 30 days, since = 1970-01-01, until = 2200-01-01
SELECT coalesce(by_visitor.item, by_person.item) AS tracking_code, coalesce(by_visitor.credit, 0) AS by_visitor,
       coalesce(by_person.credit, 0) AS by_person, coalesce(by_person.credit, 0) - coalesce(by_visitor.credit, 0) AS difference
FROM attribution('orders', 'tracking_code', model => 'linear', lookback => '30 days', since => '1970-01-01', until => '2200-01-01') AS by_visitor
FULL JOIN attribution('orders', 'tracking_code', model => 'linear', lookback => '30 days', since => '1970-01-01', until => '2200-01-01',
                      container => 'person') AS by_person
  ON by_visitor.item IS NOT DISTINCT FROM by_person.item
ORDER BY by_person DESC, tracking_code
