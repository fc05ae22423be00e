"""Verbs for labels: `assemble screen audit split check`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from jsonargparse.typing import NonNegativeInt
from rich.console import Console

from ..columns import texts as column_texts
from ..curation.sets import check_apart, check_replaceable, open_stamps
from ..errors import ConfigError, InputError
from ..pipeline.settings import prepare_output
from ..stamps import StampSet
from ..tables import read_any
from . import check
from .check import check_seed
from .verb import Verb, bars, tell

__all__ = ["VERBS"]


def _assemble_arguments(parser: ArgumentParser) -> None:
    from ..curation.verdicts import Rules

    default = Rules()
    add = parser.add_argument
    add("sets", type=str, nargs="+", metavar="SET", help="folders of stamps, or of nights")
    add("-o", "--out", type=str, required=True, help="folder for the labelled set")
    add("--variables", type=str, default=None, metavar="TABLE",
        help="known variables, ra and dec (or x and y of one common frame): their detections are real")  # fmt: skip
    add("--solar-system", type=str, default=None, metavar="TABLE",
        help="predicted solar-system objects, ra, dec and time: matched in position and time")  # fmt: skip
    add(
        "--injected",
        type=str,
        nargs="*",
        action="extend",
        default=[],
        metavar="SET",
        help="sets of injected sources, to be mixed in",
    )
    add("--injected-share", type=float, default=None, metavar="SHARE",
        help="of the reals; all that there are where absent")  # fmt: skip
    add("--verdicts", type=str, default=None, metavar="TABLE",
        help="what people said, id and label, as `realbogus votes --table` writes it; it stands")  # fmt: skip
    add("--radius-arcsec", type=float, default=default.radius_arcsec, help="of a match (default: %(default)s)")
    add("--radius-px", type=float, default=default.radius_px, help="of a match in pixels (default: %(default)s)")
    add("--guard", type=float, default=default.guard, metavar="TIMES",
        help="within so many radii of a known object nothing is called bogus (default: %(default)s)")  # fmt: skip
    add("--minutes", type=float, default=default.minutes,
        help="how near in time a prediction must be (default: %(default)s)")  # fmt: skip
    add("--least-snr", type=float, default=default.least_snr,
        help="S/N of either sign at the centre of a real's stamp (default: %(default)s)")  # fmt: skip
    add("--cap", type=int, default=default.cap, metavar="N",
        help="epochs of one object at most, at random; 0 for no cap (default: %(default)s)")  # fmt: skip
    add(
        "--weight",
        type=str,
        nargs="*",
        action="extend",
        default=[],
        metavar="ORIGIN=W",
        help="weight of labels by origin, as vote=2",
    )
    add(
        "--leave-out",
        type=str,
        nargs="*",
        action="extend",
        default=[],
        metavar="ORIGIN",
        help="labels that are not learned from",
    )
    add(
        "--channels",
        type=str,
        nargs="*",
        action="extend",
        default=[],
        metavar="NAME",
        help="channels to keep of sets that differ",
    )
    add("--seed", type=NonNegativeInt, default=0, help="of the draws of epochs and injected sources")


def _assemble(options: Any, console: Console, errors: Console) -> None:
    from ..curation.assemble import assemble
    from ..curation.catalogue import read_catalogue
    from ..curation.origins import parse_weights
    from ..curation.verdicts import Rules

    names = ("radius_arcsec", "radius_px", "guard", "minutes", "least_snr", "cap", "injected_share")
    rules = Rules(**{name: options[name] for name in names})
    weights = parse_weights(options.weight)
    check_seed(options.seed)
    check_replaceable(check_apart(options.out, [*options.sets, *options.injected]), "assemble", also=["assembly.md"])
    made = assemble(
        _opened(options.sets, options.injected),
        injected=_opened(options.injected, options.sets),
        variables=None if options.variables is None else read_catalogue(options.variables),
        solar_system=None if options.solar_system is None else read_catalogue(options.solar_system, moving=True),
        verdicts=None if options.verdicts is None else read_any(Path(options.verdicts)),
        rules=rules, weights=weights, leave_out=options.leave_out, channels=options.channels or None, seed=options.seed,
    )  # fmt: skip
    made.save(options.out)
    tell(console, made.counts().to_markdown())
    if made.provenance["injected_lacking"]:
        tell(console, f"{made.provenance['injected_lacking']} injected sources too few for their share: inject more")
    tell(console, f"written: {options.out}: {len(made.catalogue)} stamps")


def _opened(paths: Sequence[str], others: Sequence[str]) -> dict[str, StampSet]:
    """Open sets, each by the name of its folder, or by its path where names are not unique."""
    every = [Path(path).resolve().name for path in (*paths, *others)]
    found: dict[str, StampSet] = {}
    for path in paths:
        name = Path(path).resolve().name
        name = name if every.count(name) == 1 else str(path)
        if name in found:
            raise InputError(f"the set {path} is named twice")
        found[name] = open_stamps(path)
    return found


def _screen_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("stamps", type=str, help="folder of the raw set: bogus to be screened (label 0, or none) and reals")
    add("-o", "--out", type=str, required=True, help="folder for the bands; a run that was cut off carries on")
    add("--seed-set", type=str, default=None, metavar="SET",
        help="hand-picked real and bogus to learn from; picked from the raw set's labels where absent")  # fmt: skip
    add("--picked", type=int, default=None, metavar="N", help="bogus to pick; as many as there are reals where absent")
    add("--model", type=str, default=None, help="score with this model (or `default`), and train none")
    add("--network", type=str, default="vgg13", help="architecture of the screening network (default: %(default)s)")
    add("--epochs", type=int, default=None, help="by the size of the seed set where absent")
    add("--bands", type=float, nargs=2, default=[0.2, 0.9], metavar=("LOW", "HIGH"),
        help="below LOW keep, above HIGH hard, between review (default: 0.2 0.9)")  # fmt: skip
    add("--seed", type=NonNegativeInt, default=0, help="of everything random")


def _screen(options: Any, console: Console, errors: Console) -> None:
    from ..curation.screen import save_screening, screen
    from ..curation.screening_network import learn_screen
    from ..dataset.screen import bands

    low, high = options.bands
    bands([], low, high)
    check_seed(options.seed)
    if options.picked is not None and options.picked < 1:
        raise ConfigError(f"--picked {options.picked}: pick at least 1")
    if options.model is not None and options.seed_set is not None:
        raise ConfigError("--model and --seed-set: a model that is there needs no seed set")
    out = prepare_output(check_apart(options.out, [options.stamps, *([options.seed_set] if options.seed_set else [])]))
    for name in ("keep", "review", "hard", "aside"):
        check_replaceable(out / name, "screen")  # now, not after the network is trained
    stamps = open_stamps(options.stamps)
    seeds = None if options.seed_set is None else open_stamps(options.seed_set)
    with bars(errors) as progress:
        picked, accuracy = None, None
        if options.model is None:
            model, picked, accuracy = learn_screen(
                stamps, out / "network", seeds=seeds, picked=options.picked, network=options.network,
                epochs=options.epochs, seed=options.seed, progress=progress,
            )  # fmt: skip
        else:
            from .learning import open_classifier

            model = open_classifier(options.model)
        found = screen(stamps, model, low=low, high=high, picked=picked, accuracy=accuracy, progress=progress)
    written = save_screening(found, stamps, out)
    tell(console, found.summary())
    tell(console, f"written: {', '.join(map(str, written.values()))}, scores and figures in {out}")


def _audit_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("stamps", type=str, help="folder of labelled stamps")
    add("-o", "--out", type=str, required=True, help="folder for the list; a run that was cut off carries on")
    add("--folds", type=int, default=5, help="networks, each asked about what it has not seen (default: %(default)s)")
    add("--by", type=str, default="source", metavar="COLUMN",
        help="what stays in one fold (default: %(default)s)")  # fmt: skip
    add("--network", type=str, default="compact", help="architecture (default: %(default)s)")
    add("--epochs", type=int, default=None, help="by the number of stamps where absent")
    add("--top", type=int, default=None, metavar="N",
        help="stamps in the set to vet; 6 %% of the labels, or all that are probably wrong, where absent")  # fmt: skip
    add("--seed", type=NonNegativeInt, default=0, help="of everything random")


def _audit(options: Any, console: Console, errors: Console) -> None:
    from ..curation.audit import audit, save_audit

    check_seed(options.seed)
    if options.top is not None and options.top < 1:
        raise ConfigError(f"--top {options.top}: give at least 1")
    out = prepare_output(check_apart(options.out, [options.stamps]))
    check_replaceable(out / "suspects", "audit")  # now, not after minutes of training
    stamps = open_stamps(options.stamps)
    with bars(errors) as progress:
        found = audit(
            stamps, folds=options.folds, by=options.by, network=options.network, epochs=options.epochs,
            seed=options.seed, work=out / "work", progress=progress,
        )  # fmt: skip
    suspects = save_audit(found, stamps, out, top=options.top)
    tell(console, found.summary())
    tell(console, f"written: {out / 'audit.parquet'}, all labels by rank")
    tell(console, f"to vet, most doubtful first: realbogus vet {out / 'suspects'} --order set ({len(suspects)} stamps)")


def _split_arguments(parser: ArgumentParser) -> None:
    from ..curation.split import RULES

    add = parser.add_argument
    add("stamps", type=str, help="folder of labelled stamps")
    add("-o", "--out", type=str, required=True, help="folder for the table and the sets train, valid and test")
    add("--by", type=str, default="source", help=f"{', '.join(RULES)} (default: %(default)s)")
    add("--fractions", type=float, nargs=3, default=[0.7, 0.1, 0.2], metavar=("TRAIN", "VALID", "TEST"),
        help="shares of the stamps (default: 0.7 0.1 0.2)")  # fmt: skip
    add("--allow-leakage", action="store_true", help="let a source lie on two sides, knowingly")
    add("--table-only", action="store_true", help="write the table, not the sets")
    add("--measure", action="store_true",
        help="train a quick network on this split and on the looser one: by how much that flatters")  # fmt: skip
    add("--epochs", type=int, default=None, help="of these networks; by the number of stamps where absent")
    add("--seed", type=NonNegativeInt, default=0, help="of everything random")


def _split(options: Any, console: Console, errors: Console) -> None:
    from ..curation.flatter import flattery
    from ..curation.parts import SIDES, save_split, shared_table
    from ..curation.split import split

    check_seed(options.seed)
    out = prepare_output(check_apart(options.out, [options.stamps]))
    for name in SIDES:
        check_replaceable(out / name, "split")
    stamps = open_stamps(options.stamps)
    first, second, third = options.fractions
    shares = (first, second, third)
    parts = split(stamps, options.by, fractions=shares, allow_leakage=options.allow_leakage, seed=options.seed)
    texts = [f"# Split by {parts.by}\n", parts.counts(stamps.labels).to_markdown()]
    beside = "stamp" if options.by != "stamp" else "source"
    if beside == "source" and not any(column_texts(stamps.catalogue, "source")):
        if options.measure:
            raise ConfigError("--measure compares with a split by source, and the catalogue names no `source`")
    else:
        other = split(stamps, beside, fractions=shares, allow_leakage=True, seed=options.seed)
        looser, stricter = (other, parts) if options.by != "stamp" else (parts, other)
        texts.append(shared_table(looser, stricter).to_markdown())
    if options.measure:
        with bars(errors) as progress:
            found = flattery(
                stamps, looser, stricter, epochs=options.epochs, seed=options.seed, work=out / "work", progress=progress
            )
        texts.append(found.table().to_markdown())
    text = "\n".join(texts)
    written = save_split(parts, stamps, out, text, sets=not options.table_only)
    tell(console, text)
    tell(console, f"written: {', '.join(map(str, written))}")


VERBS = (
    Verb(
        "assemble",
        "label stamps: reals from catalogues, bogus from the rest, injections",
        _assemble_arguments,
        _assemble,
    ),
    Verb("screen", "sort bogus into keep, review and hard with a network", _screen_arguments, _screen),
    Verb("audit", "rank labels by how likely they are wrong", _audit_arguments, _audit),
    Verb("split", "divide stamps into train, valid and test, and count what leaks", _split_arguments, _split),
    *check.VERBS,
)
