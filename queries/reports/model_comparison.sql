-- What each item gets of a metric by every model, side by side; one pass over the journeys.
-- Parameters: metric = orders, dimension = tracking_code, lookback = 30 days, since = 1970-01-01, until = 2200-01-01
SELECT item AS tracking_code, first_touch, last_touch, linear, u_shaped, j_shaped, inverse_j, time_decay, participation, algorithmic
FROM attribution('orders', 'tracking_code', lookback => '30 days', since => '1970-01-01', until => '2200-01-01',
                 models => 'first_touch,last_touch,linear,u_shaped,j_shaped,inverse_j,time_decay,participation,algorithmic')
ORDER BY participation DESC NULLS LAST, item
