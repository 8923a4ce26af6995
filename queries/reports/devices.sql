-- Persons by the number of their devices, and what they did. Persons must be on (rejoin help persons).
-- Parameters: metric = orders
SELECT devices, count(*) AS persons, sum(orders) AS orders
FROM (
  SELECT person_id, count(DISTINCT visitor_id) AS devices, sum(orders) AS orders
  FROM events
  WHERE person_id IS NOT NULL
  GROUP BY person_id
)
GROUP BY devices
ORDER BY devices
