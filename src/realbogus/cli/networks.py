"""The verb `networks`: the table of networks and what each costs."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from rich import box
from rich.console import Console
from rich.table import Table

from ..errors import ConfigError
from ..files import write_text
from .verb import Verb, bars, check_output_file, tell

__all__ = ["VERBS"]


def _arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--networks", type=str, nargs="*", action="extend", default=[], metavar="NAME", help="only these (default: all)"
    )
    add("--channels", type=int, default=1, help="input planes (default: 1)")
    add("--size", type=int, default=64, help="side of a plane, pixels (default: 64)")
    add("--no-speed", action="store_true", help="do not time them")
    add("-o", "--out", type=str, default=None, metavar="FILE", help="write the numbers as JSON as well")


def _networks(options: Any, console: Console, errors: Console) -> None:
    try:
        from ..architectures import ARCHITECTURES
        from ..architectures.facts import PAPER_NETWORKS, facts
    except ImportError as error:
        raise ConfigError('the networks need torch: pip install "realbogus[train]"') from error
    names = list(options.networks or ARCHITECTURES)
    for name in names:
        ARCHITECTURES.resolve(name)  # now, not after minutes of measuring those before it
    out = None if options.out is None else check_output_file(Path(options.out))
    rows = []
    with bars(errors) as progress:
        for done, name in enumerate(names):
            progress("networks", done, len(names))
            rows.append(
                facts(name, in_channels=options.channels, size=options.size, speed=not options.no_speed, seconds=0.5)
            )
        progress("networks", len(names), len(names))
    planes = f"{options.channels} plane{'s' if options.channels > 1 else ''} of {options.size} px"
    table = Table(
        title=f"Parameters and multiply-adds, millions; ours: {planes}, one logit",
        title_justify="left",
        caption="Branches that only training has are summed.",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("network", no_wrap=True)
    table.add_column("in the paper", no_wrap=True)
    for title in ("1000\nclasses", "ours", "multiply-\nadds", "stamps/s\nhere"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.name,
            row.paper,
            f"{row.parameters_imagenet / 1e6:.1f}",
            f"{row.parameters / 1e6:.2f}",
            f"{row.multiply_adds / 1e6:.1f}",
            "" if math.isnan(row.stamps_per_s) else f"{row.stamps_per_s:,.0f}",
        )
    console.print(table)
    for name in names:
        paper = PAPER_NETWORKS.get(name)
        if paper is not None and paper.note:
            tell(console, f"* Table 2 of the paper has {paper.millions} M for {paper.name}: {paper.note}.")
    if out is not None:
        values = [{key: _plain(value) for key, value in asdict(row).items()} for row in rows]
        write_text(out, json.dumps(values, indent=1) + "\n")
        tell(console, f"written: {out}")


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


VERBS = (Verb("networks", "list the networks and what each costs here", _arguments, _networks),)
