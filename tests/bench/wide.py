"""A made-up data feed as large sites have it: many columns, most of them without a value.

    wide.py HITS DELIVERIES FOLDER     so many hits in each of so many daily deliveries, each of two files of hits

Of 1,053 columns 137 have values, some on every hit, some on few; a hit takes about 2.9 KB. The same numbers give the same
files: SUITE_DATE as Adobe names them, with the lookup archive that has column_headers.tsv, and the manifest.
"""

import gzip
import hashlib
import io
import pathlib
import shutil
import sys
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute

SUITE = "wide"
FIRST_SECOND = 1_756_684_800  # 2025-09-01
DAY_SECONDS = 86_400
COLUMNS = 1053
FILES = 2
# rows of text that are made at once
PART_ROWS = 20_000
SET_EVARS, SET_PROPS = 30, 14
TEXTS = ["browser", "os", "language", "connection_type", "color", "resolution", "country", "javascript", "click_action", "domain",
         "geo_city", "geo_region", "geo_dma", "user_server", "page_type", "mobile_id", "search_engine", "channel"]


def headers():
    """Those with values first."""
    keys = ["hit_time_gmt", "post_visid_high", "post_visid_low", "hitid_high", "hitid_low", "visit_num", "visit_start_time_gmt",
            "visit_page_num", "hit_source", "exclude_hit", "duplicate_purchase", "post_transactionid"]
    pages = ["pagename", "post_pagename", "page_url", "post_page_url", "referrer", "post_referrer", "user_agent", "geo_country",
             "event_list", "post_event_list", "post_product_list", "campaign", "post_campaign", "ip", "accept_language",
             "va_closer_id", "va_closer_detail", "username", "date_time"]
    filled = keys + pages + TEXTS
    for kind, count in (("evar", SET_EVARS), ("prop", SET_PROPS)):
        filled += [f"{before}{kind}{n}" for n in range(1, count + 1) for before in ("", "post_")]
    empty = [f"{before}{kind}{n}" for kind, count in (("evar", 250), ("prop", 75), ("mvvar", 3)) for n in range(1, count + 1)
             for before in ("", "post_")]
    empty = [name for name in empty if name not in filled]
    empty += [f"video{n}" for n in range(1, COLUMNS - len(filled) - len(empty) + 1)]
    return filled, empty


def generate(hits, deliveries, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    random = np.random.default_rng(11)
    filled, empty = headers()
    # as Adobe has them, in the order of their names
    order = sorted(filled + empty)
    visitors = max(1, deliveries * hits // 12)
    halves = random.integers(1 << 62, 1 << 63, (2, visitors), dtype=np.int64)
    for day in range(deliveries):
        stem = f"{SUITE}_{date_of(day)}"
        files = []
        for number in range(FILES):
            rows = hits * (number + 1) // FILES - hits * number // FILES
            path = folder / f"{number + 1:02d}-{stem}.tsv.gz"
            start = (day * FILES + number) * DAY_SECONDS // FILES
            with gzip.open(path, "wb", compresslevel=6) as out:
                for first in range(0, rows, PART_ROWS):
                    count = min(PART_ROWS, rows - first)
                    begin = start + first * (DAY_SECONDS // FILES) // rows
                    out.write(records(random, order, count, begin, visitors, halves))
            files.append((path, rows))
        lookups = folder / f"{stem}-lookup_data.tar.gz"
        write_lookups(lookups, order)
        lines = ["Datafeed-Manifest-Version: 1.0", "Lookup-Files: 1", f"Data-Files: {FILES}", f"Total-Records: {hits}"]
        for kind, path, rows in [("Lookup", lookups, None), *(("Data", path, rows) for path, rows in files)]:
            data = path.read_bytes()
            lines += ["", f"{kind}-File: {path.name}", f"MD5-Digest: {hashlib.md5(data).hexdigest()}", f"File-Size: {len(data)}"]
            lines += [f"Record-Count: {rows}"] if rows is not None else []
        (folder / f"{stem}.txt").write_text("\n".join(lines) + "\n")


def records(random, order, count, begin, visitors, halves):
    """So many records as text, in order of time."""
    values = columns(random, count, begin, visitors, halves)
    parts, literal = [], ""
    for place, name in enumerate(order):
        literal += "\t" if place else ""
        if name in values:
            parts += ([pa.scalar(literal)] if literal else []) + [values[name]]
            literal = ""
    parts.append(pa.scalar(literal + "\n"))
    lines = compute.binary_join_element_wise(*parts, "", null_handling="replace", null_replacement="")
    start, end = lines.offset, lines.offset + len(lines)
    offsets = np.frombuffer(lines.buffers()[1], np.int32)
    return memoryview(lines.buffers()[2])[offsets[start] : offsets[end]]


def columns(random, count, begin, visitors, halves):
    """The values of the columns that have some, as texts."""
    visitor = random.integers(0, visitors, count)
    second = begin + FIRST_SECOND + np.sort(random.integers(0, DAY_SECONDS // 40, count))
    visit_num = 1 + visitor % 7
    page, campaign = zipf(random, 2000, count), zipf(random, 500, count)
    pages = [f"site:section{i % 40}:subsection{i % 7}:page-{i:05d}" for i in range(2000)]
    urls = [f"https://www.example.com/section{i % 40}/subsection{i % 7}/page-{i:05d}.html?from=menu&view={i % 9}"
            for i in range(2000)]
    agents = [f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.{i % 40} (KHTML, like Gecko) "
              f"Chrome/{100 + i}.0.{i * 7}.{i} Safari/537.{i % 40}" for i in range(300)]
    order = random.random(count) < 0.02
    events = named([f"{buys},{more}220,20101" for buys in ("2", "1,200") for more in ("", "201=3,210,")],
                   2 * order + (random.random(count) < 0.5))
    products = [f"category{i % 12};SKU-{i:05d};{1 + i % 3};{(i % 90) + 0.99:.2f};;" for i in range(3000)]
    campaigns = [f"cmp-{i:04d}-{i % 5}" for i in range(500)]
    values = {
        "hit_time_gmt": texts(second),
        "date_time": texts(second.astype("datetime64[s]")),
        "post_visid_high": texts(halves[0][visitor]),
        "post_visid_low": texts(halves[1][visitor]),
        "hitid_high": texts(random.integers(1 << 61, 1 << 62, count)),
        "hitid_low": texts(random.integers(1 << 61, 1 << 62, count)),
        "visit_num": texts(visit_num),
        "visit_start_time_gmt": texts(second - visitor % 1800),
        "visit_page_num": texts(1 + random.integers(0, 20, count)),
        "hit_source": texts(np.ones(count, np.int64)),
        "exclude_hit": texts(np.zeros(count, np.int64)),
        "duplicate_purchase": texts(np.zeros(count, np.int64)),
        "post_transactionid": compute.if_else(pa.array(order), texts(random.integers(1 << 39, 1 << 40, count)), None),
        "event_list": events,
        "post_event_list": events,
        "post_product_list": rare(products, random.integers(0, 3000, count), order | (random.random(count) < 0.1)),
        "ip": texts(visitor * 7919 % (1 << 31)),
        "username": texts(visitor % 5000),
        "referrer": named(urls, zipf(random, 2000, count)),
        "user_agent": named(agents, visitor % 300),
        "accept_language": named([f"en-{i:02d},en;q=0.9,de;q=0.7" for i in range(40)], visitor % 40),
        "geo_country": named([f"c{i:02d}" for i in range(60)], visitor % 60),
        "va_closer_id": texts(visitor % 9 + 1),
        "va_closer_detail": named([f"channel detail {i}" for i in range(200)], visitor % 200),
        "campaign": rare(campaigns, campaign, random.random(count) < 1 / 6),
        "post_campaign": rare(campaigns, visitor % 500, random.random(count) < 0.7),
    }
    values["post_referrer"] = values["referrer"]
    for raw in ("pagename", "post_pagename"):
        values[raw] = named(pages, page)
    for raw in ("page_url", "post_page_url"):
        values[raw] = named(urls, page)
    for number, name in enumerate(TEXTS):
        values[name] = named([f"{name} {i}" for i in range(5 + 20 * number)], (visitor * (number + 3)) % (5 + 20 * number))
    for number in range(1, SET_EVARS + 1):
        # few values and many, of a visitor and of a hit; set on few hits, and kept
        items = [6, 60, 600, 6000][number % 4]
        spread = visitor if number % 3 else random.integers(0, items, count)
        kept = named([f"evar{number}:value {i:05d}" for i in range(items)], spread * number % items)
        values[f"post_evar{number}"] = kept
        values[f"evar{number}"] = compute.if_else(pa.array(random.random(count) < 0.1 * (1 + number % 5)), kept, None)
    for number in range(1, SET_PROPS + 1):
        items = [4, 40, 400][number % 3]
        values[f"prop{number}"] = named([f"prop{number}:{i:04d}" for i in range(items)], page * number % items)
        values[f"post_prop{number}"] = values[f"prop{number}"]
    return values


def texts(numbers):
    return pa.array(numbers).cast(pa.string())


def named(names, places):
    return pa.array(names).take(pa.array(places))


def rare(names, places, there):
    return compute.if_else(pa.array(there), named(names, places), None)


def zipf(random, items, count):
    weights = 1 / np.arange(1, items + 1) ** 1.05
    return random.choice(items, count, p=weights / weights.sum())


def date_of(day):
    return str(np.datetime64("2025-09-01") + day)


def write_lookups(path, order):
    events = "".join(f"{199 + n}\tCustom Event {n}\n" for n in range(1, 101))
    members = {"column_headers.tsv": "\t".join(order) + "\n", "event.tsv": "1\tPurchase\n2\tProduct View\n" + events}
    with tarfile.open(path, "w:gz") as archive:
        for name, text in members.items():
            data = text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


if __name__ == "__main__":
    generate(int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3]))
