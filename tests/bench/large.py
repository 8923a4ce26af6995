"""The large case on paper: what 100 billion hits of 1 billion visitors in 90 days ask of the lake as it is written today.

In: nothing but the constants below. Those of MEASURED were measured on small lakes (1 to 12 million hits; logs that name up
to 80,000 files), those of ASSUMED are guesses. Out: tables of Markdown.

    python tests/bench/large.py             # all tables
    python tests/bench/large.py --days 730  # the same traffic a day for 2 years
    python tests/bench/large.py --check     # the models against what small lakes and a store that counts requests showed

Needs numpy; seeded; takes some seconds and less than 200 MB. The models, and what each follows:

skew        hits a visitor are log-normal, and some thousand bots have a Pareto tail. Visitors with many hits are drawn
            one by one, the others enter a bucket by their mean and variance. Tasks go to free slots in their order.
requests    a file costs two GETs before its rows (its last 8 bytes, footer), where it is read; a plan costs none. Of a
            row group the columns that are read are merged where gaps are at most 1 MiB (`object_store::coalesce_ranges`), a GET each.
            The decoder asks for a row group when it has none left, so a task waits once for each.
compaction  the rules of `src/lake/upkeep/compact/plan.rs` for one bucket, a delivery a day, after each a compaction of what
            is worth it (a test holds the rules themselves); and of `src/rebuild/renew.rs`, which writes a bucket anew that has 8 generations.
"""

import argparse
import heapq
import statistics

import numpy as np

HITS, VISITORS, DAYS = 100e9, 1e9, 90
SEED = 7
MB, GB, TB = 1e6, 1e9, 1e12
MIB = 1 << 20

# Constants of the code.
ROW_GROUP_ROWS = 256 * 1024
SHARED_ROWS = 8_000_000
GROWING, OVER = (4, 3), (2, 15)  # files that are merged at least; one waits beyond so many times the rows of smaller ones
FILES_TO_COME = 4  # of a bucket beside those of months, about: see the simulation
MOST_GENERATIONS = 8  # of a table of the integration
COALESCE = MIB  # object_store: OBJECT_STORE_COALESCE_DEFAULT
PART_BYTES = 10 * MIB  # object_store: BufWriter's part
FILE_GETS = 2  # before the rows of a file
FILE_GETS_OF_FOUND = 3  # as the lakes of --check were asked, which was with the page index
MEMORY = 1 << 30  # --memory
OPEN_FILES = 1024  # the usual limit of a process
RUN_BATCH_BYTES = 256 << 10

# Bytes a hit of each column, in the order of the file; compacted files, zstd. MEASURED.
# A clickstream of 16 columns, 12 hits a visitor:
NARROW = """suite:0.002 file:0.610 visitor_key:0.589 hit_seq:3.033 hit_source:0.002 exclude_hit:0.002 persisted:0.002
visitor_id:2.022 hit_time:5.267 visit_num:0.227 transaction_id:0.222 page_name:1.252 tracking_code:0.297 orders:0.038
revenue:0.150 page_views:0.002"""
# The same before compaction, a day a file:
NARROW_DAYS = """suite:0.004 file:0.004 visitor_key:1.915 hit_seq:2.985 hit_source:0.004 exclude_hit:0.004 persisted:0.003
visitor_id:5.691 hit_time:4.730 visit_num:0.197 transaction_id:0.219 page_name:1.615 tracking_code:0.369 orders:0.042
revenue:0.162 page_views:0.004"""
# The sample's data feed, 78 columns, 100 hits a visitor; columns that are not read are added up:
FEED = """suite:0.002 file:0.078 visitor_key:0.089 visitor_id:0.214 hit_time:3.597 hit_seq:15.124 visit_num:0.111
visit_start:0.833 hit_source:0.002 exclude_hit:0.002 others:0.200 persisted:0.002 page_name:1.008 others:2.534
prop1:0.384 others:18.460 product_list:0.670 evar1:0.291 evar1_set:0.173 others:1.759 category:0.368 orders:0.015
others:0.753"""
PROFILES = {"16 columns": (NARROW, 16), "78 columns": (FEED, 78)}
QUESTION = {"visitor_key", "visitor_id", "hit_time", "exclude_hit", "page_name", "orders"}

MEASURED = {
    "footer bytes a row group and column": {16: 107, 78: 169},  # many row groups, one row group a file
    "page index and bloom filter bytes a row group": {16: 5_142, 78: 13_051},
    "journey, compacted, hits a core-second": 23e6,  # README: visitor_page_orders, 12 M hits in 0.26 s on 2 threads
    "journey, 90 generations, hits a core-second": 6.4e6,  # README: the same, loaded, in 0.94 s
    "ingest, hits a core-second": {16: 960e3, 78: 145e3},
    "compaction, hits a core-second": {16: 1.30e6, 78: 437e3},
    "ingest, bytes of memory a hit": {78: 2_200},  # 342,675 hits spilled into 7 runs of 128 MB, 13 of 64 MB, 19 of 32 MB
    "rebuild of everything, hits a core-second": 2.1e6,  # README: 2.89 s, 2 threads, 12 M hits, 125,000 records
    "bytes of an Add": 510,  # and for each load whose rows the file has:
    "bytes of a load in an Add": 95,
    "checkpoint bytes a file": 155,  # of one load
    "checkpoint bytes of a load in a file": 84,  # where every text differs; next to nothing where files say the same
    "log, microseconds a file to load": 12,
    "plan, microseconds a file": 15,  # 80,000 files in 1.2 s
    "log, bytes of memory a file": 4_700,
    "ingest into a table, microseconds a live file": 26,
}
ASSUMED = {
    "seconds a GET takes to begin": 0.03,
    "network of an executor, bytes a second": 1.25e9,  # 10 Gbit/s
    "bytes of a decoded row of the question": 100,
    "USD a million GETs": 0.4,
    "median-to-mean spread of hits a visitor (sigma)": 1.6,
    "bots": 20_000,
    "largest bot, hits": 200e6,
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--days", type=int, default=DAYS)
    arguments.add_argument("--check", action="store_true")
    chosen = arguments.parse_args()
    if chosen.check:
        return check()
    hits = HITS * chosen.days / DAYS
    print(f"{hits / 1e9:,.0f} billion hits, {VISITORS / 1e9:,.0f} billion visitors, {chosen.days} days\n")
    skew(hits)
    layout(hits, chosen.days)
    daily(hits, chosen.days)
    spills(hits, chosen.days)
    logs(hits, chosen.days)
    queries(hits, chosen.days)
    memory(hits, chosen.days)
    limits()
    return None


# ---------------------------------------------------------------------------------------------------------------- skew


def hits_per_bucket(hits, counts, random):
    """For each number of buckets the hits of every bucket, and the hits of the largest visitors."""
    sigma = ASSUMED["median-to-mean spread of hits a visitor (sigma)"]
    few = int(ASSUMED["bots"])
    bots = np.minimum(1e4 * (1 + random.pareto(0.9, few)), ASSUMED["largest bot, hits"])
    mean = (hits - bots.sum()) / VISITORS
    mu = np.log(mean) - sigma**2 / 2
    normal = statistics.NormalDist()
    # visitors beyond the cut are drawn one by one, from the tail alone
    cut = (np.log(20_000 * mean / 100) - mu) / sigma
    above = 1 - normal.cdf(cut)
    heavy = random.binomial(int(VISITORS), above)
    uniform = above * (1 - random.random(heavy))
    heavy = np.exp(mu + sigma * np.array([-normal.inv_cdf(p) for p in uniform.tolist()]))
    # the moments of all others
    first = np.exp(mu + sigma**2 / 2) * normal.cdf(cut - sigma)
    second = np.exp(2 * mu + 2 * sigma**2) * normal.cdf(cut - 2 * sigma)
    alone = np.concatenate([heavy, bots])
    found = {}
    for buckets in counts:
        visitors = random.multinomial(int(VISITORS) - len(alone), np.full(buckets, 1 / buckets))
        light = random.normal(visitors * first, np.sqrt(visitors * (second - first**2)))
        where = random.integers(0, buckets, len(alone))
        found[buckets] = light + np.bincount(where, weights=alone, minlength=buckets)
    return found, np.sort(alone)[::-1]


def makespan(loads, slots):
    """When the last of the tasks ends that are handed to free slots in their order."""
    free = [0.0] * min(slots, len(loads))
    for load in loads:
        heapq.heappush(free, heapq.heappop(free) + load)
    return max(free)


def skew(hits):
    random = np.random.default_rng(SEED)
    counts, slots = (8, 64, 256, 1024, 4096), (8, 64, 128, 512)
    found, largest = hits_per_bucket(hits, counts, random)
    rows = []
    for buckets, loads in found.items():
        busy = [f"{loads.sum() / slot / makespan(loads, slot):.0%}" for slot in slots]
        rows.append([buckets, f"{loads.mean() / 1e6:,.0f}", f"{loads.max() / loads.mean():.2f}",
                     f"{largest[0] / loads.max():.0%}", *busy])
    table("Skew: one task a bucket (simulated)",
          ["buckets", "million hits a bucket", "largest / mean", "largest visitor in it",
           *(f"{s} slots busy" for s in slots)], rows)
    touch = 24 + 4 + 16
    ranks = (1, 10, 100, 1000, 10_000)
    sizes = [(n, largest[n - 1], largest[n - 1] * touch / MB) for n in ranks]
    rows = [[f"{n:,}", f"{found / 1e6:,.1f}", f"{size:,.0f} to {2 * size:,.0f}"] for n, found, size in sizes]
    table("Largest visitors: 44 bytes a touch, twice that while a vector grows (sizes of the code)",
          ["rank", "million hits", "MB in memory"], rows)


# ------------------------------------------------------------------------------------------------------------ requests


def columns_of(profile):
    return [(name, float(size)) for name, size in (pair.split(":") for pair in profile.split())]


def group_reads(columns, rows, wanted=QUESTION):
    """GETs and bytes of one row group."""
    at, ranges = 0.0, []
    for name, size in columns:
        start, at = at, at + size * rows
        if name not in wanted:
            continue
        if ranges and start - ranges[-1][1] <= COALESCE:
            ranges[-1][1] = at
        else:
            ranges.append([start, at])
    return len(ranges), sum(end - start for start, end in ranges)


def file_reads(columns, width, rows):
    """Of one file: row groups, GETs for rows, their bytes, bytes of footer, of indices, in all."""
    full, rest = divmod(int(rows), ROW_GROUP_ROWS)
    parts = [(full, ROW_GROUP_ROWS)] * (full > 0) + [(1, rest)] * (rest > 0)
    gets = sum(n * group_reads(columns, r)[0] for n, r in parts)
    read = sum(n * group_reads(columns, r)[1] for n, r in parts)
    groups = full + (rest > 0)
    footer = groups * width * MEASURED["footer bytes a row group and column"][width]
    indices = groups * MEASURED["page index and bloom filter bytes a row group"][width]
    return groups, gets, read, footer, indices, rows * sum(size for _, size in columns) + footer + indices


def lake_reads(profile, width, files):
    """The same of files, given as (how many, rows of each)."""
    columns = columns_of(profile)
    total = np.zeros(6)
    for count, rows in files:
        total += count * np.array(file_reads(columns, width, rows))
    return total, sum(count for count, _ in files)


def states(hits, days, buckets):
    """Files of the lake as (how many, rows): compacted into months; the same with some days not yet; nothing compacted."""
    day, months = hits / days / buckets, days / 30
    tail = min(FILES_TO_COME, days)
    return {
        "compacted": [(int(months * buckets), day * 30)],
        "some days to come": [(int(months * buckets), day * (days - tail) / months), (tail * buckets, day)],
        "never compacted": [(days * buckets, day)],
    }


def layout(hits, days):
    rows = []
    for name, (profile, width) in PROFILES.items():
        for buckets in (8, 64, 1024, 4096):
            for state, files in states(hits, days, buckets).items():
                if state == "some days to come":
                    continue
                (groups, _, _, footer, _, size), count = lake_reads(profile, width, files)
                biggest = max(r for _, r in files) * size / hits
                rows.append([name, buckets, state, f"{count:,}", f"{biggest / GB:,.2f}", f"{groups / count:,.0f}",
                             f"{footer / count / MB:,.2f}", f"{size / TB:.2f}", f"{footer / GB:.1f}"])
    table("Layout (computed from measured sizes)",
          ["lake", "buckets", "state", "files", "GB a file", "row groups a file", "MB of footer a file", "TB",
           "GB of footers"], rows)


# ---------------------------------------------------------------------------------------------------------- compaction


def pack(pieces, shared):
    """Neighbours together while they stay small."""
    packed = []
    for piece in pieces:
        if packed and packed[-1][0] + piece["rows"] <= shared:
            packed[-1][0] += piece["rows"]
            packed[-1][1].append(piece)
        else:
            packed.append([piece["rows"], [piece]])
    return [pieces for _, pieces in packed]


def overlapping(files):
    """Files that share a month, in sets."""
    parts = []
    for file in sorted(files, key=lambda f: (min(f), max(f))):
        if parts and min(file) <= parts[-1][0]:
            parts[-1] = (max(parts[-1][0], max(file)), [*parts[-1][1], file])
        else:
            parts.append((max(file), [file]))
    return [part for _, part in parts]


def plan(files, shared):
    """A file is its rows by month. What is to be written: the inputs by name, and the rows by month."""
    pieces = []
    for part in overlapping(files):
        if len(part) == 1:
            pieces.append({"rows": sum(part[0].values()), "months": part[0], "files": part, "whole": True})
            continue
        months = {}
        for file in part:
            for month in file:
                months.setdefault(month, []).append(file)
        for month, inputs in sorted(months.items()):
            rows = sum(file[month] for file in inputs)
            pieces.append({"rows": rows, "months": {month: rows}, "files": inputs, "whole": False})
    outputs = []
    for together in pack(pieces, shared):
        if len(together) == 1 and together[0]["whole"]:
            continue
        months = {}
        for piece in together:
            for month, rows in piece["months"].items():
                months[month] = months.get(month, 0) + rows
        outputs.append(({id(file): file for piece in together for file in piece["files"]}, months))
    return outputs


def merged(rows, least, times):
    """How many of these files are worth merging, the smallest first."""
    smaller, begin, end = 0, 0, 0
    for number, own in enumerate(rows):
        if own > times * smaller:
            begin = number
        if number + 1 - begin >= least:
            end = number + 1
        smaller += own
    return end


def worth_merging(files, shared):
    """Those of the files that are merged."""
    newest = max((max(file) for file in files if len(file) == 1), default=0)
    worth = lambda months: OVER if max(months) < newest else GROWING
    chosen = {}
    for inputs, months in plan(files, shared):
        sizes = sorted((sum(file.get(month, 0) for month in months), name) for name, file in inputs.items())
        for _, name in sizes[:merged([rows for rows, _ in sizes], *worth(months))]:
            chosen[name] = inputs[name]
    sets = []  # of outputs that share an input: the inputs, and the months of each output
    for inputs, months in plan(list(chosen.values()), shared):
        own = (set(inputs), [months])
        for other in [other for other in sets if other[0] & own[0]]:
            sets.remove(other)
            own = (own[0] | other[0], own[1] + other[1])
        sets.append(own)
    worthy = set()
    for inputs, outputs in sets:
        if len(inputs) + 1 >= len(outputs) + max(worth(months)[0] for months in outputs):
            worthy |= inputs
    waiting = {name for name, file in chosen.items() if name not in worthy and len(file) > 1}
    if waiting:
        return worth_merging([file for file in files if id(file) not in waiting], shared)
    return [file for file in files if id(file) in worthy]


def compacted(files, shared):
    """The files after what is worth it was merged, and the rows that were written."""
    worthy = worth_merging(files, shared)
    written = [months for _, months in plan(worthy, shared)]
    names = {id(file) for file in worthy}
    return [file for file in files if id(file) not in names] + written, sum(sum(f.values()) for f in written)


def bucket_history(days, rows_a_day, early=0.0, first_day=0, shared=SHARED_ROWS, month_days=30.4375):
    """One bucket day by day: files before each compaction, days of the compactions, rows that each wrote. `early` is the
    share of a delivery that lies in the UTC day before: days are local."""
    files, counts, runs = [], [], []
    for day in range(days):
        delivery = {}
        for when, share in ((day - 1, early), (day, 1 - early)):
            if share:
                month = int((when + first_day) // month_days)
                delivery[month] = delivery.get(month, 0) + rows_a_day * share
        files.append(delivery)
        counts.append(len(files))
        files, written = compacted(files, shared)
        if written:
            runs.append((day, written))
    return files, counts, runs


def daily(hits, days):
    rows = []
    for name, (profile, width) in PROFILES.items():
        size = sum(s for _, s in columns_of(profile))
        for buckets in (8, 64, 1024, 4096):
            day = hits / days / buckets
            files, counts, runs = bucket_history(days, day, early=1 / 12)
            written = sum(rows for _, rows in runs) * buckets
            largest = max((rows for _, rows in runs), default=0) * buckets
            ingest = hits / days / MEASURED["ingest, hits a core-second"][width] / 3600
            merge = largest / MEASURED["compaction, hits a core-second"][width] / 3600
            month = max(max(f.values()) for f in files) * size
            too_large = " (refused)" if month > 10_000 * PART_BYTES else ""
            commit = buckets * (GROWING[0] * 280 + 2 * (MEASURED["bytes of an Add"] + 31 * MEASURED["bytes of a load in an Add"]))
            rows.append([name, buckets, f"{day * size / MB:,.0f}", max(counts), len(runs), f"{1 + written / hits:.2f}",
                         f"{month / GB:,.1f}{too_large}", f"{ingest:,.1f}", f"{largest * size / TB:.2f}", f"{merge:,.1f}",
                         f"{commit / MB:,.1f}"])
    table("Loading a day, and compaction after each (simulated; rates measured)",
          ["lake", "buckets", "MB a file and day", "most files a bucket", "compactions", "bytes written / loaded",
           "largest file, GB", "ingest, core-hours a day", "TB the largest compaction writes", "core-hours it takes",
           "MB its commit has"], rows)
    written = [rows for _, rows in renewals(days)]
    print(f"A table of the integration, rebuilt every day: {len(written)} times all of it is written, "
          f"{1 + sum(written) / days:.1f} bytes for each byte that is new.\n")


def renewals(days):
    """Of a table of the integration to which each day adds 1: days on which all is written anew, and how much."""
    generations, runs = 0, []
    for day in range(days):
        if generations >= MOST_GENERATIONS:
            runs.append((day, day))
            generations = 0
        generations += 1
    return runs


def runs_in(rows):
    """Sorted runs that a delivery of the feed spills into."""
    held = MEMORY / MEASURED["ingest, bytes of memory a hit"][78]
    return int(rows // held) if rows > held else 0


def spills(hits, days):
    """A run keeps a file open for each bucket until the merge, which holds a batch and a buffer of each run and thread."""
    rows = []
    for deliveries in (1, 24):
        delivery = hits / days / deliveries
        runs = runs_in(delivery)
        merge = 2 * 2 * runs * RUN_BATCH_BYTES
        files = [f"{runs * buckets:,}" for buckets in (8, 64, 1024)]
        rows.append([deliveries, f"{delivery / 1e6:,.0f}", f"{runs:,}", *files, f"{merge / MB:,.0f}"])
    table("Sorting a delivery of the feed in 1 GiB (computed from measured sizes; the usual limit is 1,024 open files)",
          ["deliveries a day", "million hits", "runs", "open files, 8 buckets", "64", "1,024",
            "MB of the merge, 2 threads"], rows)


def logs(hits, days):
    """The log of `hits` once it is compacted, for deliveries a day and for deliveries an hour."""
    rows = []
    for buckets in (8, 64, 1024, 4096):
        for deliveries in (1, 24):
            files, loads = buckets * days // 30, 30 * deliveries
            tail = FILES_TO_COME * buckets
            commit = files * (MEASURED["bytes of an Add"] + loads * MEASURED["bytes of a load in an Add"])
            commit += tail * (MEASURED["bytes of an Add"] + MEASURED["bytes of a load in an Add"])
            least = (files + tail) * MEASURED["checkpoint bytes a file"]
            most = least + files * loads * MEASURED["checkpoint bytes of a load in a file"]
            rows.append([buckets, deliveries, f"{files + tail:,}", f"{commit / MB:,.1f}",
                         f"{least / MB:,.1f} to {most / MB:,.1f}",
                         f"{(files + tail) * MEASURED['log, bytes of memory a file'] / MB:,.0f}",
                         f"{(files + tail) * MEASURED['ingest into a table, microseconds a live file'] / 1e6:,.2f}"])
    table("The log: months compacted, some deliveries not yet (computed from measured sizes)",
          ["buckets", "deliveries a day", "files", "MB of Adds", "MB of a checkpoint", "MB in memory, at least",
           "s that a load waits for it, at least"], rows)


# ------------------------------------------------------------------------------------------------------------- queries


def plan_bytes(files, generations, buckets):
    """Of a plan for a cluster: 73 bytes a file (measured), 77 a column of each scan (measured)."""
    return generations * (77 * len(QUESTION) + 15 * buckets) + files * 73


def queries(hits, days):
    rows, times = [], []
    for name, (profile, width) in PROFILES.items():
        for buckets in (64, 1024):
            for state, files in states(hits, days, buckets).items():
                (groups, gets, read, footer, _, size), count = lake_reads(profile, width, files)
                generations = {"compacted": days / 30, "some days to come": days / 30 + FILES_TO_COME, "never compacted": days}[state]
                planning = count * MEASURED["plan, microseconds a file"] / 1e6
                gets += FILE_GETS * count
                rows.append([name, buckets, state, f"{count:,}", f"{planning:,.2f}", f"{gets / 1e3:,.0f}",
                             f"{footer / GB:.1f}", f"{read / TB:.2f}", f"{read / size:.0%}",
                             f"{gets * ASSUMED['USD a million GETs'] / 1e6:.2f}",
                             f"{plan_bytes(count, generations, buckets) / MIB:,.1f}"])
                if buckets == 1024:
                    times += [[name, state, *run] for run in runs_of(hits, state, read, groups)]
    table("One question, participation of pages in orders (computed; the model is checked)",
          ["lake", "buckets", "state", "files", "s to plan", "executors' 1,000 GETs", "GB of footers", "TB read",
           "of the lake", "USD", "MiB of plan"], rows)
    table("Its time once planned, 1,024 buckets (rates measured on 2 cores; network assumed, 10 Gbit/s an executor)",
          ["lake", "state", "executors x vcores", "s of CPU", "s of network", "s of waits for row groups"], times)


def runs_of(hits, state, read, groups):
    rate = MEASURED["journey, 90 generations, hits a core-second" if state == "never compacted"
                    else "journey, compacted, hits a core-second"]
    for executors, cores in ((4, 8), (16, 8), (64, 8)):
        slots = executors * cores
        yield [f"{executors} x {cores}", f"{hits / rate / slots:,.0f}",
               f"{read / executors / ASSUMED['network of an executor, bytes a second']:,.0f}",
               f"{groups * ASSUMED['seconds a GET takes to begin'] / slots:,.0f}"]


def memory(hits, days):
    """Of one task: what it has fetched of a row group of each generation, and a decoded batch of each."""
    rows = []
    for name, (profile, width) in PROFILES.items():
        for state, files in states(hits, days, 1024).items():
            lanes = round(sum(n for n, _ in files) / 1024)
            held = sum(group_reads(columns_of(profile), min(r, ROW_GROUP_ROWS))[1] * n / 1024 for n, r in files)
            batches = lanes * min(8192, max(256, 4 * 8192 // lanes)) * ASSUMED["bytes of a decoded row of the question"]
            rows.append([name, state, lanes, f"{held / MB:,.0f}", f"{batches / MB:,.1f}",
                         f"{8 * (held + batches) / MB:,.0f}"])
    table("Memory of tasks, 1,024 buckets (computed; fetched bytes are outside of the memory pool)",
          ["lake", "state", "generations", "MB fetched a task", "MB of batches a task", "MB of 8 tasks"], rows)


# -------------------------------------------------------------------------------------------------------------- limits


def limits():
    """How many billion hits in 90 days meet each limit, columns of the feed, in the order of 8 buckets."""
    profile, width = PROFILES["78 columns"]
    size = sum(s for _, s in columns_of(profile))
    footer = width * MEASURED["footer bytes a row group and column"][width] / ROW_GROUP_ROWS
    _, _, runs = bucket_history(DAYS, 1e6, early=1 / 12, shared=0)
    largest = max(rows for _, rows in runs) / (DAYS * 1e6)
    journey = MEASURED["journey, compacted, hits a core-second"]
    held = MEMORY / MEASURED["ingest, bytes of memory a hit"][width]
    common = {
        "footers of a question exceed 256 MB, their cache at 1 GiB of memory": MEMORY / 4 / footer,
        "the largest compaction takes 16 cores 4 hours":
            16 * 4 * 3600 * MEASURED["compaction, hits a core-second"][width] / largest,
        "ingest of a day takes 2 cores 12 hours": DAYS * 2 * 12 * 3600 * MEASURED["ingest, hits a core-second"][width],
    }
    by_buckets = {
        "a month's file exceeds 2 GB": lambda n: 3 * n * 2 * GB / size,
        "a delivery a day opens 1,024 files": lambda n: DAYS * held * max(1, OPEN_FILES // n),
        "a delivery an hour opens 1,024 files": lambda n: 24 * DAYS * held * max(1, OPEN_FILES // n),
        "a question takes a minute with a core for each bucket": lambda n: 60 * journey * n,
        "a month's file exceeds 10,000 parts of 10 MiB": lambda n: 3 * n * 10_000 * PART_BYTES / size,
    }
    rows = [(limit, [hits] * 3) for limit, hits in common.items()]
    rows += [(limit, [of(n) for n in (8, 64, 1024)]) for limit, of in by_buckets.items()]
    rows.sort(key=lambda row: row[1][0])
    table("Limits: billion hits in 90 days, 78 columns", ["limit", "8 buckets", "64", "1,024"],
          [[limit, *(billions(hits) for hits in found)] for limit, found in rows])


def billions(hits):
    return f"{hits / 1e9:.2g}" if hits < 1e10 else f"{hits / 1e9:,.0f}"


# --------------------------------------------------------------------------------------------------------------- check


def check():
    """The models against small lakes: 12 million hits loaded day by day, before and after compaction, and a feed of 1.5
    million hits, behind a store that counts requests."""
    rows = []

    def of(what, model, found):
        rows.append([what, f"{model:,.0f}", f"{found:,.0f}", f"{model / found - 1:+.1%}"])

    (groups, gets, read, footer, indices, size), count = lake_reads(NARROW_DAYS, 16, [(720, 11_989_446 / 720)])
    of("720 daily files: GETs", gets + FILE_GETS_OF_FOUND * count, 2880)
    of("720 daily files: bytes read", read + footer + indices, 215_545_606)
    (groups, gets, read, footer, indices, size), count = lake_reads(NARROW, 16, [(8, 11_989_446 / 8)])
    of("8 compacted files: row groups", groups, 48)
    of("8 compacted files: GETs", gets + FILE_GETS_OF_FOUND * count, 72)
    of("8 compacted files: bytes read", read + footer + indices, 155_557_075)
    of("8 compacted files: bytes", size, 165_105_465)
    (groups, gets, read, footer, indices, size), count = lake_reads(FEED, 78, [(8, 1_500_000 / 8)])
    of("8 files of a feed: GETs", gets + FILE_GETS_OF_FOUND * count, 48)
    of("8 files of a feed: bytes read", read + footer + indices, 7_890_730)
    of("8 files of a feed: bytes", size, 70_071_741)
    # another question, of a feed with 12 hits a visitor, whose columns are larger than the constants: with its own sizes
    # the model reads 0.1 % more than was found
    wanted = {"visitor_key", "visitor_id", "hit_time", "exclude_hit", "persisted", "evar1", "evar1_set", "orders"}
    count, read = group_reads(columns_of(FEED), 125_000, wanted)
    of("8 files of another feed, other columns: GETs", 8 * (count + FILE_GETS_OF_FOUND), 48)
    of("8 files of another feed, larger columns: bytes read", 8 * read + 8 * 22_839, 10_599_391)
    table("Models, and what small lakes and a counting store showed", ["what", "model", "found", "off"], rows)


def table(title, heads, rows):
    print(f"{title}\n\n| {' | '.join(map(str, heads))} |\n|{' --- |' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")
    print()


if __name__ == "__main__":
    main()
