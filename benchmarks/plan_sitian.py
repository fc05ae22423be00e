"""Plan a night of so many candidates: workers, cores, disks, brokers, cost, from figures that you can replace.

    python benchmarks/plan_sitian.py [--alerts 1e8] [--hours 8] [--network 2066] [...]

Does arithmetic alone; every figure is an argument, and its default says in docs/scale.md where it comes from. Measure
your own: `benchmarks/stream_memory.py` (reading, preparing, network, writing), `benchmarks/adapt.py` (packets),
`benchmarks/scale_out.py` (the driver), `realbogus bench` (a network), `benchmarks/stream.py --calm --consumers 1`
(`stream`: Kafka to PostgreSQL, with the model that it runs; `--network` does not change it).
"""

from __future__ import annotations

import argparse
import math
import sys

#: Name: default, what it is.
FIGURES = {
    "alerts": (1e8, "candidates a night"),
    "hours": (8.0, "in which they must be done"),
    "peak": (1.5, "busiest minutes to the mean of the night"),
    "use": (0.7, "share of a core that is planned with; the rest is for restarts and what else the machine does"),
    "read": (19.0, "us a candidate and core: stamps from a disk"),
    "unpack": (3100.0, "us: a packet of three gzipped FITS images to a row and a stamp"),
    "prepare": (73.0, "us: preprocessing"),
    "network": (2066.0, "us: the network"),
    "driver": (15.0, "us: the driver of the engine ray, for a row"),
    "sink": (27.0, "us: a row into a database, in the process that writes"),
    "stream": (169.0, "candidates/s of one consumer of a topic: fetched, unpacked, scored, written, committed"),
    "database": (13_700.0, "rows/s that one PostgreSQL takes"),
    "cores": (64.0, "of a machine"),
    "stamp": (49_152.0, "bytes of a candidate's stamps: three channels of 64 x 64 in float32"),
    "packet": (65_500.0, "bytes of an alert packet"),
    "row": (332.0, "bytes of a row in PostgreSQL with its index; 2826 with all fields of a ZTF packet"),
    "disk": (500.0, "MB/s that one disk reads while others write; an assumption"),
    "broker": (150.0, "MB/s that one broker takes or gives, replicas counted; an assumption"),
    "replicas": (3.0, "copies that Kafka keeps"),
    "days": (3.0, "that the topics keep packets"),
    "core_hour": (0.04, "price of a core for an hour"),
    "tb_month": (20.0, "price of a TB for a month"),
    "nights": (25.0, "clear nights a month"),
    "months": (1.0, "for which stamps are kept"),
}


def plan(**given: float) -> dict[str, float]:
    """Return what a night needs.

    Examples
    --------
    >>> night = plan(alerts=1e8, hours=8, network=2066)
    >>> round(night["mean"]), night["workers"]
    (3472, 17)
    >>> plan(stream=1000)["consumers"]  # 5,208 a second of 700 each
    8
    """
    f = {name: default for name, (default, _) in FIGURES.items()} | given
    mean = f["alerts"] / (f["hours"] * 3600)
    rate = mean * f["peak"]
    each = (f["read"] + f["prepare"] + f["network"]) * 1e-6
    packet = (f["unpack"] + f["prepare"] + f["network"]) * 1e-6
    workers = math.ceil(rate * each / f["use"])
    drivers = math.ceil(rate * (f["driver"] + f["sink"]) * 1e-6 / f["use"])
    machines = math.ceil((workers + drivers) / f["cores"])
    # a packet comes in, and goes out to a second topic with its score; every copy is written once, and each read once
    traffic = rate * f["packet"] * 1e-6 * 2 * (f["replicas"] + 1)
    month = f["alerts"] * f["nights"]
    terabytes = month * f["months"] * (f["stamp"] + f["row"]) * 1e-12
    return {
        "mean": mean,
        "rate": rate,
        "busy": rate * each,
        "workers": workers,
        "drivers": drivers,
        "databases": math.ceil(rate / (f["database"] * f["use"])),
        "machines": machines,
        "unpackers": math.ceil(rate * packet / f["use"]),
        "consumers": math.ceil(rate / (f["stream"] * f["use"])),
        "read": rate * f["stamp"] * 1e-6,
        "disks": math.ceil(rate * f["stamp"] * 1e-6 / f["disk"]),
        "traffic": traffic,
        "brokers": max(math.ceil(traffic / f["broker"]), int(f["replicas"])),
        "topics": f["alerts"] * f["packet"] * 2 * f["replicas"] * f["days"] * 1e-12,
        "stamps": f["alerts"] * f["stamp"] * 1e-12,
        "rows": f["alerts"] * f["row"] * 1e-9,
        "kept": terabytes,
        "core_hours": (workers + drivers) * f["hours"],
        "night_cost": (workers + drivers) * f["hours"] * f["core_hour"],
        "month_cost": (workers + drivers) * f["hours"] * f["core_hour"] * f["nights"] + terabytes * f["tb_month"],
    }


WORDS = (
    ("mean", "candidates/s, mean", ",.0f"),
    ("rate", "candidates/s, planned", ",.0f"),
    ("busy", "cores at work", ",.1f"),
    ("workers", "workers of one core (engine ray), from stamps", ",.0f"),
    ("unpackers", "the same, from packets", ",.0f"),
    ("drivers", "drivers that write", ",.0f"),
    ("machines", "machines for both, from stamps", ",.0f"),
    ("databases", "PostgreSQL servers", ",.0f"),
    ("consumers", "or consumers (`realbogus stream`), as measured; the topic's partitions at least", ",.0f"),
    ("read", "stamps read, MB/s", ",.0f"),
    ("disks", "disks for that, at an assumed rate", ",.0f"),
    ("traffic", "brokers' traffic in and out, both topics, MB/s", ",.0f"),
    ("brokers", "brokers, at an assumed rate", ",.0f"),
    ("topics", "topics on brokers' disks, TB", ",.0f"),
    ("stamps", "stamps of a night, TB", ",.2f"),
    ("rows", "rows of a night, GB", ",.0f"),
    ("kept", "stamps and rows that are kept, TB", ",.0f"),
    ("core_hours", "core hours a night", ",.0f"),
    ("night_cost", "cost of a night's cores", ",.2f"),
    ("month_cost", "cost of a month: cores, and what is kept", ",.0f"),
)


def main() -> int:
    """Print the plan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, (default, text) in FIGURES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=default, help=f"{text} ({default:g})")
    given = vars(parser.parse_args())
    wrong = [name for name, value in given.items() if not value > 0 or not math.isfinite(value)]
    if wrong:
        parser.error(f"{', '.join(wrong)}: give numbers above zero")
    found = plan(**given)
    print("| a night | needs |\n| --- | ---: |")
    for name, text, form in WORDS:
        print(f"| {text} | {found[name]:{form}} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
