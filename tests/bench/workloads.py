"""The questions of the benchmark, in words that every engine translates into its own query."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """Credit of `metric` to the items of `dimension`; the model `scan` only reads their columns, `funnel` counts visitors by
    `STEPS`, `paths` counts the items that conversions see."""

    name: str
    metric: str
    dimension: str
    model: str = "participation"
    container: str = "visitor"
    lookback_days: int | None = None
    # how many times faster than the best peer
    target: float | None = None
    # a span of the conversion's time, before the item
    by: str | None = None
    # conditions over a row of hits: of conversions, and of visitors some row of whom satisfies it
    conversions: str | None = None
    visitors: str | None = None


# The peers read files as they arrive; a lake has states of its own.
ARRIVED = "arrived"
# The steps of a funnel: parts of the site, then an order.
SECTIONS = [f"site:section{section}:" for section in range(3)]
STEPS = [f"page_name LIKE '{section}%'" for section in SECTIONS] + ["orders > 0"]
# Rows of the paths that are compared.
MOST_PATHS = 100

WORKLOADS = [
    Workload("scan_page", "orders", "page_name", "scan"),
    Workload("scan_campaign", "orders", "tracking_code", "scan"),
    Workload("visitor_page_orders", "orders", "page_name", target=10),
    Workload("visit_page_orders", "orders", "page_name", container="visit", target=10),
    Workload("visitor_page_returns", "returns", "page_name", target=10),
    Workload("visitor_campaign_orders", "orders", "tracking_code", target=10),
    Workload("visitor_30d_page_orders", "orders", "page_name", lookback_days=30, target=10),
    Workload("visitor_30d_campaign_orders", "orders", "tracking_code", lookback_days=30, target=8),
    Workload("linear_30d_page_orders", "orders", "page_name", "linear", lookback_days=30, target=8),
    Workload("decay_30d_campaign_revenue", "revenue", "tracking_code", "time_decay", lookback_days=30, target=8),
    Workload("linear_30d_page_orders_by_month", "orders", "page_name", "linear", lookback_days=30, target=4, by="month"),
    Workload("linear_30d_page_orders_over_100", "orders", "page_name", "linear", lookback_days=30, target=4,
             conversions="revenue > 100"),
    Workload("linear_30d_page_orders_of_some", "orders", "page_name", "linear", lookback_days=30, target=4,
             visitors="page_name = 'site:section3:page-00003'"),
    Workload("funnel_30d", "orders", "page_name", "funnel", lookback_days=30, target=4),
    Workload("paths_30d_campaign_orders", "orders", "tracking_code", "paths", lookback_days=30, target=4),
]
BY_NAME = {workload.name: workload for workload in WORKLOADS}


def scan_of(workload):
    """The plain scan among the workloads that reads the columns of this one; None where none does."""
    if workload.model == "funnel" or workload.conversions:
        return None
    columns = (workload.dimension, workload.metric)
    return next((w for w in WORKLOADS if w.model == "scan" and (w.dimension, w.metric) == columns), None)
