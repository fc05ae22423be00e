"""The verb `check`: the operational check of section 4.3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from jsonargparse import ArgumentParser
from jsonargparse.typing import NonNegativeInt
from rich.console import Console

from ..curation.sets import check_apart, check_replaceable, open_stamps
from ..errors import ConfigError, InputError
from ..pipeline.settings import prepare_output
from ..tables import read_any
from .verb import Verb, check_threshold, tell

__all__ = ["VERBS", "check_seed"]


def _check_arguments(parser: ArgumentParser) -> None:
    from ..curation.draw import STRATA

    add = parser.add_argument
    add("step", type=str, choices=["draw", "result"], help="draw a sample to vet, or compare the votes on it")
    add("folder", type=str, help="draw: a scored night or set of stamps; result: the folder that draw has written")
    drawing = parser.add_argument_group("draw").add_argument
    drawing("-n", "--number", type=int, default=5000, help="candidates to draw (default: %(default)s, as the paper)")
    drawing("-o", "--out", type=str, default=None, help="folder for the sample; result: its own where absent")
    drawing("--scores", type=str, default=None, metavar="TABLE", help="id and score, as `realbogus score` writes it")
    drawing("--threshold", type=float, default=None, help="score from which it is called real; the night's by default")
    drawing("--stratified", action="store_true",
            help=f"draw as many of each stratum of the score, between {', '.join(map(str, STRATA))}")  # fmt: skip
    drawing(
        "--strata", type=float, nargs="*", action="extend", default=[], metavar="SCORE", help="scores between strata"
    )
    drawing("--seed", type=NonNegativeInt, default=0, help="of the draw and the intervals")
    telling = parser.add_argument_group("result").add_argument
    telling("--votes", type=str, default=None, metavar="FILE",
            help="file of votes, the majority decides (default: sample/votes.jsonl in the folder)")  # fmt: skip
    telling("--consensus", type=str, default=None, metavar="TABLE",
            help="id and label in place of votes, as `realbogus votes --table` writes it")  # fmt: skip


def _check(options: Any, console: Console, errors: Console) -> None:
    check_seed(options.seed)
    if options.step == "draw":
        _draw(options, console)
    else:
        _result(options, console)


def _draw(options: Any, console: Console) -> None:
    from ..curation.draw import STRATA, draw, save_sample

    if options.out is None:
        raise ConfigError("check draw needs -o, the folder for the sample")
    check_threshold(options.threshold)
    out = prepare_output(check_apart(options.out, [options.folder]))
    check_replaceable(out / "sample", "check")
    stamps = open_stamps(options.folder)
    catalogue = stamps.catalogue.copy()
    if options.scores is not None:
        scored = read_any(Path(options.scores))
        if not {"id", "score"} <= set(scored.colnames):
            raise InputError(f"{options.scores} has the columns {scored.colnames}, expected id and score")
        values = np.ma.filled(np.ma.asarray(scored["score"], dtype=float), np.nan).tolist()
        found: dict[str, float] = dict(zip(map(str, scored["id"]), values, strict=True))
        if "threshold" in scored.colnames:  # of the model that gave these scores, not of an earlier one
            threshold = {str(name): float(value) for name, value in zip(scored["id"], scored["threshold"], strict=True)}
            catalogue["threshold"] = [threshold.get(str(name), np.nan) for name in catalogue["id"]]
        elif "threshold" in catalogue.colnames:
            catalogue.remove_column("threshold")
        catalogue["score"] = [found.get(str(name), np.nan) for name in catalogue["id"]]
    strata = options.strata or (STRATA if options.stratified else ())
    sample = draw(catalogue, options.number, threshold=options.threshold, strata=strata, seed=options.seed)
    save_sample(sample, stamps, out)
    tell(console, sample.strata.to_markdown())
    tell(console, f"written: {out / 'sample'}: {len(sample.table)} of {sample.candidates} candidates, "
         f"{sample.unscored} without a score; threshold {sample.threshold:.4g}")  # fmt: skip
    tell(console, f"to vet: realbogus vet {out / 'sample'}   then: realbogus check result {out}")


def _result(options: Any, console: Console) -> None:
    from ..curation.check import check_sample, save_check

    folder = Path(options.folder)
    out = folder if options.out is None else prepare_output(Path(options.out))
    found = check_sample(folder, _said(options, folder), rng=np.random.default_rng(options.seed))
    report = save_check(found, out)
    tell(console, found.report())
    tell(console, f"written: {report}")


def _said(options: Any, folder: Path) -> Table:
    """Return what people said of each stamp: a consensus, or the majority of the votes."""
    if options.consensus is not None:
        if options.votes is not None:
            raise ConfigError("--votes and --consensus: give one of them")
        return read_any(Path(options.consensus))
    from ..vetting.consensus import consensus
    from ..vetting.votes import read_votes

    path = Path(options.votes) if options.votes is not None else folder / "sample" / "votes.jsonl"
    table = consensus(read_votes(path)).table
    return Table({"id": table["id"], "label": table["majority"]})


def check_seed(seed: int) -> None:
    """Refuse a seed that no generator takes."""
    if seed < 0:
        raise ConfigError(f"--seed {seed}: give a whole number, 0 or more")


VERBS = (Verb("check", "draw candidates to vet, and compare the votes with the model", _check_arguments, _check),)
