"""Made-up clickstream: daily Parquet files of online hits, and files of offline records that belong to some of them.

In: a number of visitors and a folder. Out, the same rows for the same number (about 12 hits a visitor, 90 days from
2025-09-01):

hits/day=NNN.parquet      visitor_id, hit_time (UTC), visit_num, visit_page_num, hit_source, page_name (dense, 2,000
                          items), tracking_code (on every sixth hit, 500 items), orders, revenue, transaction_id (on
                          3 %), customer_id (on a third of the hits of every tenth visitor; two visitors have one).
                          In order of time, as a collector writes; below 100,000 visitors 30 days a file.
offline/offline.parquet   event_time, transaction_id, returns, calls, refund: for 35 % of the transaction IDs one
                          record, 1 hour to 40 days after the online hit.
offline/more.parquet      1 % more of them, of other transactions.
logins/more.parquet       1 % more hits with a customer ID, on the day after: half of visitors who have one, with theirs,
                          half of visitors who have none, with the one of somebody.
"""

import pathlib
import shutil
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

DAYS = 90
FIRST_SECOND = 1_756_684_800  # 2025-09-01
DAY_SECONDS = 86_400
PAGES = [f"site:section{i % 40}:page-{i:05d}" for i in range(2000)]
CHANNELS = ["email", "paid", "social", "display", "affiliate"]
CAMPAIGNS = [f"cmp-{i:04d}-{CHANNELS[i % 5]}" for i in range(500)]


def generate(visitors, folder):
    """Writes the files, in the place of former ones."""
    random = np.random.default_rng(7)
    hits = make_hits(random, visitors)
    # of its own, so that it changes no other column
    hits["customer"] = make_customers(np.random.default_rng(8), hits)
    for name in ("hits", "offline", "logins"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    write_hits(hits, folder / "hits", 1 if visitors >= 100_000 else 30)
    has_id = np.flatnonzero(hits["transaction"] >= 0)
    chosen = random.random(len(has_id)) < 0.35
    offline, others = has_id[chosen], has_id[~chosen]
    write_offline(random, hits, offline, folder / "offline/offline.parquet")
    more = np.sort(random.choice(others, max(1, len(offline) // 100), replace=False))
    write_offline(random, hits, more, folder / "offline/more.parquet")
    write_logins(np.random.default_rng(9), hits, folder / "logins/more.parquet")


def make_hits(random, visitors):
    """Columns of numbers, one row a hit, by visitor and time; names are given when they are written."""
    visits = 1 + random.geometric(0.5, visitors)
    visit_visitor = np.repeat(np.arange(visitors), visits)
    visit_start = FIRST_SECOND + random.integers(0, DAYS * DAY_SECONDS - 4 * 3600, visits.sum())
    visit_start = visit_start[np.lexsort((visit_start, visit_visitor))]
    visit_num = place_within(visit_visitor) + 1

    pages = random.geometric(0.25, len(visit_start))
    visit = np.repeat(np.arange(len(visit_start)), pages)
    count = len(visit)
    page_num = place_within(visit) + 1
    first = page_num == 1
    gap = random.integers(1, 300, count)
    gap[first] = 0
    elapsed = np.cumsum(gap)
    second = visit_start[visit] + elapsed - elapsed[np.arange(count) - page_num + 1]
    visitor = visit_visitor[visit]
    # a microsecond apart, so that no two hits of a visitor are at one instant and no order of ties can matter
    micros = second * 1_000_000 + place_within(visitor)

    campaign = random.choice(len(CAMPAIGNS), count, p=zipf(len(CAMPAIGNS), 1.1))
    campaign[~((first & (random.random(count) < 0.6)) | (random.random(count) < 0.02))] = -1
    page = random.choice(len(PAGES), count, p=zipf(len(PAGES), 1.05))
    order = random.random(count) < 0.02
    lead = random.random(count) < 0.01
    revenue = np.where(order, np.round(random.gamma(2, 40, count), 2), 0.0)
    halves = random.integers(1 << 62, 1 << 63, (2, visitors), dtype=np.int64).tolist()
    return {
        "visitor_ids": np.array([f"{high}_{low}" for high, low in zip(*halves)]),
        "visitor": visitor,
        "second": second,
        "micros": micros,
        "visit_num": visit_num[visit],
        "page_num": page_num,
        "page": page,
        "campaign": campaign,
        "order": order,
        "revenue": revenue,
        "transaction": np.where(order | lead, np.arange(count), -1),
    }


def make_customers(random, hits):
    """A customer's number for each hit, -1 for none."""
    visitors = len(hits["visitor_ids"])
    chosen = random.permutation(visitors)[: visitors // 10]
    customer_of = np.full(visitors, -1)
    customer_of[chosen] = np.arange(len(chosen)) // 2
    logged_in = random.random(len(hits["visitor"])) < 1 / 3
    return np.where(logged_in, customer_of[hits["visitor"]], -1)


def write_logins(random, hits, path):
    logged_in = np.flatnonzero(hits["customer"] >= 0)
    count = max(2, len(logged_in) // 100)
    again = random.choice(logged_in, count // 2)
    strangers = np.setdiff1d(np.arange(len(hits["visitor_ids"])), hits["visitor"][logged_in])
    new = random.choice(strangers, count - count // 2)
    customers = np.concatenate([hits["customer"][again], random.choice(hits["customer"][logged_in], len(new))])
    visitors = np.concatenate([hits["visitor"][again], new])
    second = FIRST_SECOND + DAYS * DAY_SECONDS + np.sort(random.integers(0, DAY_SECONDS, count))
    table = pa.table({
        "visitor_id": pa.array(hits["visitor_ids"][visitors]),
        "hit_time": pa.array(second * 1_000_000 + np.arange(count), pa.timestamp("us")),
        "visit_num": pa.array(np.full(count, 100, np.int32)),
        "visit_page_num": pa.array(np.ones(count, np.int32)),
        "hit_source": pa.array(np.ones(count, np.uint8)),
        "page_name": pa.array(np.full(count, PAGES[0])),
        "tracking_code": pa.nulls(count, pa.string()),
        "orders": pa.array(np.zeros(count, np.int32)),
        "revenue": pa.array(np.zeros(count)),
        "transaction_id": pa.nulls(count, pa.string()),
        "customer_id": pa.array(ids("C", customers)),
    })
    parquet.write_table(table, path, compression="zstd")


def write_hits(hits, folder, days_a_file):
    file = (hits["second"] - FIRST_SECOND) // (days_a_file * DAY_SECONDS)
    by_time = np.lexsort((hits["second"], file))
    ends = np.searchsorted(file[by_time], np.arange(file.max() + 2))
    campaigns = np.array(CAMPAIGNS)
    for number in range(file.max() + 1):
        rows = by_time[ends[number] : ends[number + 1]]
        campaign, transaction, customer = (hits[name][rows] for name in ("campaign", "transaction", "customer"))
        table = pa.table({
            "visitor_id": pa.array(hits["visitor_ids"][hits["visitor"][rows]]),
            "hit_time": pa.array(hits["micros"][rows], pa.timestamp("us")),
            "visit_num": pa.array(hits["visit_num"][rows].astype(np.int32)),
            "visit_page_num": pa.array(hits["page_num"][rows].astype(np.int32)),
            "hit_source": pa.array(np.ones(len(rows), np.uint8)),
            "page_name": pa.array(np.array(PAGES)[hits["page"][rows]]),
            "tracking_code": pa.array(campaigns[campaign], mask=campaign < 0),
            "orders": pa.array(hits["order"][rows].astype(np.int32)),
            "revenue": pa.array(hits["revenue"][rows]),
            "transaction_id": pa.array(ids("T", transaction), mask=transaction < 0),
            "customer_id": pa.array(ids("C", customer), mask=customer < 0),
        })
        path = folder / f"day={number * days_a_file:03d}.parquet"
        parquet.write_table(table, path, compression="zstd", row_group_size=1 << 20)


def write_offline(random, hits, rows, path):
    second = hits["second"][rows] + random.integers(3600, 40 * DAY_SECONDS, len(rows))
    returned = random.random(len(rows)) < 0.5
    table = pa.table({
        "event_time": pa.array(second * 1_000_000, pa.timestamp("us")),
        "transaction_id": pa.array(ids("T", hits["transaction"][rows])),
        "returns": pa.array(returned.astype(np.int32)),
        "calls": pa.array((~returned).astype(np.int32)),
        "refund": pa.array(np.where(returned, hits["revenue"][rows], 0.0)),
    })
    parquet.write_table(table, path, compression="zstd")


def ids(letter, numbers):
    return np.char.add(letter, numbers.astype(str))


def zipf(items, exponent):
    weights = 1 / np.arange(1, items + 1) ** exponent
    return weights / weights.sum()


def place_within(groups):
    """The place of each row in its run of equal numbers, from 0."""
    index = np.arange(len(groups))
    first = np.r_[True, groups[1:] != groups[:-1]]
    return index - np.maximum.accumulate(np.where(first, index, 0))


if __name__ == "__main__":
    generate(int(sys.argv[1]), pathlib.Path(sys.argv[2]))
