"""Fifty kinds of statements that people and their programs ask in a day, over the lake of `rejoin sample`."""

MODELS = ["first_touch", "last_touch", "linear", "u_shaped", "j_shaped", "inverse_j", "time_decay(7 days)", "participation"]
DIMENSIONS = ["tracking_code", "page_name", "country", "marketing_channel", "evar1"]

KINDS = [
    # reports
    *(
        f"SELECT item, credit FROM attribution('{metric}', 'tracking_code', '{model}') ORDER BY 2 DESC, 1 LIMIT 20"
        for metric in ("orders", "revenue")
        for model in MODELS
    ),
    *(
        f"SELECT item, credit FROM participation('{metric}', '{dimension}', '{container}') ORDER BY 2 DESC, 1 LIMIT 20"
        for metric in ("orders", "event12")
        for dimension in ("tracking_code", "page_name")
        for container in ("visit", "visitor")
    ),
    "SELECT path, conversions FROM paths('orders', 'tracking_code') ORDER BY 2 DESC, 1 LIMIT 20",
    "SELECT step, journeys FROM funnel(steps => ['page_views > 0', 'cart_adds > 0', 'orders > 0'], within => '30 days')",
    "SELECT event_id, value, first_item, last_item FROM conversions('orders', 'tracking_code') ORDER BY 1 LIMIT 50",
    # plain questions
    *(f"SELECT {column}, count(*), sum(orders), sum(revenue) FROM events GROUP BY 1 ORDER BY 2 DESC, 1" for column in DIMENSIONS),
    "SELECT date_trunc('day', hit_time) AS day, count(*), sum(revenue) FROM events GROUP BY 1 ORDER BY 1",
    "SELECT row_kind, match_status, count(*) FROM events GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT visitor_id, hit_time, page_name, tracking_code FROM events LIMIT 200",
    "SELECT visitor_id, hit_time, orders FROM events ORDER BY hit_time DESC, event_id LIMIT 100",
    "SELECT count(DISTINCT visitor_id) FROM hits",
    "SELECT visitor_id, count(*) FROM visits GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20",
    "SELECT avg(hits), max(hits) FROM visitors",
    "SELECT page_name, row_number() OVER (PARTITION BY visitor_id ORDER BY hit_time, hit_seq) FROM hits LIMIT 100",
    "SELECT a.visitor_id FROM visitors a JOIN visitors b ON a.visitor_id = b.visitor_id WHERE a.hits > 10 ORDER BY 1 LIMIT 20",
    # what programs look up
    "SELECT file, status, rows FROM files ORDER BY received DESC LIMIT 20",
    "SELECT * FROM rebuilds ORDER BY started DESC LIMIT 3",
    "SELECT source, records, matched FROM join_report",
    "SELECT table_name FROM information_schema.tables ORDER BY 1",
    "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'events' ORDER BY ordinal_position",
    "SHOW TABLES",
    "SELECT 1",
    "SELECT now()",
    "EXPLAIN SELECT sum(orders) FROM events",
]

assert len(KINDS) == len(set(KINDS)) == 50, len(KINDS)
