"""The verb `adapt`: alert packets and other people's stamps to a stamp set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from rich.console import Console

from ..errors import ConfigError
from ..processes import processors
from .verb import Verb, bars, tell

__all__ = ["VERBS"]


def _arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "paths", type=str, nargs="+", metavar="PATH", help="alert packets (Avro), FITS cutouts, arrays, folders of them"
    )
    add("-o", "--out", type=str, required=True, help="folder of stamps to write")
    add("--jobs", type=int, default=None, help="processes; as many as there are processors by default")
    add("--min-valid", type=float, default=0.5,
        help="share of a whole cutout that must be there for a stamp to be usable (default: 0.5)")  # fmt: skip
    add("--fwhm", type=float, default=None, metavar="PX", help="PSF size of stamps that say nothing of it, pixels")
    add("--table", type=str, default=None, metavar="FILE", help="metadata of an array's rows or of FITS cutouts by id")
    add("--columns", type=str, nargs="+", action="extend", default=[], metavar="OURS=THEIRS",
        help="what the table or the header calls our columns, say id=candid mag=magpsf")  # fmt: skip
    add("--extensions", type=str, nargs="+", action="extend", default=[], metavar="CHANNEL=EXTENSION",
        help="extensions of a FITS file, by name or number, say difference=1 science=2 reference=3")  # fmt: skip
    add("--files", type=str, nargs="+", action="extend", default=[], metavar="CHANNEL=PATTERN",
        help="a FITS file a channel, say difference=*_diff.fits science=*_sci.fits reference=*_ref.fits")  # fmt: skip
    add("--channels", type=str, default="science,reference,difference",
        help="order of an array's channels (default: science,reference,difference)")  # fmt: skip
    add("--array", type=str, default=None, metavar="NAME", help="which array of a .npz file has the stamps")
    add("--detector", type=int, nargs=2, default=None, metavar=("WIDTH", "HEIGHT"),
        help="size of the image that the cutouts of a table are from, to centre those at its edges")  # fmt: skip
    add("--reversed-negatives", action="store_true",
        help="an array's difference is reference minus science where its sign is negative, as ZTF's is")  # fmt: skip


def _adapt(options: Any, console: Console, errors: Console) -> None:
    from ..adapters import Layout, adapt

    layout = Layout(
        extensions=_pairs("--extensions", options.extensions),
        files=_pairs("--files", options.files),
        channels=tuple(name.strip() for name in options.channels.split(",")),
        array=options.array,
        table=None if options.table is None else Path(options.table),
        columns=_pairs("--columns", options.columns),
        detector=None if options.detector is None else (options.detector[0], options.detector[1]),
        reversed_negatives=options.reversed_negatives,
    )
    jobs = options.jobs if options.jobs is not None else processors()
    with bars(errors) as progress:
        done = adapt(
            options.paths, options.out, jobs=jobs, progress=progress, layout=layout, min_valid=options.min_valid,
            fwhm=options.fwhm,
        )  # fmt: skip
    rows = done.stamps.catalogue
    surveys = ", ".join(f"{count} {name}" for name, count in done.stamps.provenance["rows"].items())
    unusable = int((~rows["usable"]).sum())
    tell(
        console,
        f"written: {options.out}: {len(rows)} stamps ({surveys}) of {done.read} that were read, "
        f"channels {', '.join(done.stamps.channels)}",
    )
    if unusable:
        tell(console, f"{unusable} of them have too little left to be scored (column usable)")
    measured = sum(word in ("measured", "assumed") for word in rows["centring"])
    if measured:
        tell(
            console,
            f"{measured} were centred by what is seen in them, as nothing says where they lay (column centring)",
        )
    if len(done.unusable):
        causes = ", ".join(f"{count} {cause}" for cause, count in done.causes.items())
        tell(
            console,
            f"no stamps of {len(done.unusable)} ({causes}): {Path(options.out) / 'unusable.csv'} has the reasons",
        )


def _pairs(option: str, words: Sequence[str]) -> dict[str, str]:
    """Read `name=value` words.

    Examples
    --------
    >>> _pairs("--columns", ["id=candid", "fwhm="])
    {'id': 'candid', 'fwhm': ''}
    """
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"{option} {word!r}: expected NAME=VALUE")
        pairs[name.strip()] = value.strip()
    return pairs


VERBS = (Verb("adapt", "turn alert packets, FITS cutouts or an array into stamps", _arguments, _adapt),)
