-- What visitors touch one after another from their first row on, up to three items on; the 20 ways of each step that most take.
-- Parameters: dimension = tracking_code, since = 1970-01-01, until = 2200-01-01
SELECT item, next_item, step, journeys
FROM (SELECT *, row_number() OVER (PARTITION BY step ORDER BY journeys DESC, item, next_item) AS place
      FROM flow('tracking_code', after => '1 = 1', depth => 3, since => '1970-01-01', until => '2200-01-01'))
WHERE place <= 20
ORDER BY step, journeys DESC, item, next_item
