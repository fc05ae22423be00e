"""Verbs for models: `train evaluate`."""

from __future__ import annotations

import shutil
from argparse import SUPPRESS
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import ArgumentParser
from numpy.typing import NDArray
from rich.console import Console

from ..classifier import Classifier
from ..config import Config
from ..errors import ConfigError, InputError
from ..evaluation.result import PREVALENCE, SPECIFICITY
from ..preprocess import Preprocess
from .verb import NEEDS_TORCH, Verb, bars, check_threshold, tell

__all__ = ["VERBS"]


def _train_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("stamps", type=str, help="folder of labelled stamps")
    add("-o", "--out", type=str, required=True, help="folder for the model; a run that was cut off carries on")
    add("--restart", action="store_true", help="start afresh: remove what an earlier run left in the folder")
    add(
        "--recipe",
        type=str,
        default=None,
        metavar="TOML",
        help="configuration; table 1 of the paper by default",
    )
    add(
        "--set",
        type=str,
        nargs="*",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="override, for example training.epochs=3",
    )
    add("--bag", type=int, default=None, metavar="N", help="train N networks, each on its own bootstrap, that vote")
    add(
        "--members", type=str, default=None, metavar="A,B,...",
        help="the same with one network (or N) of each of these architectures",
    )  # fmt: skip
    add("--parts", type=str, default=None, metavar="TABLE", help="sides that `realbogus split` gave these stamps, its "
        "split.parquet; by the recipe's own `split` values where absent")  # fmt: skip
    values = parser.add_argument_group("every value of the recipe", "as --set KEY=VALUE; a flag wins over both")
    for key, value in _keys():
        values.add_argument(f"--{key}", type=Any, default=SUPPRESS, metavar="VALUE", help=f"default: {value!r}")


def _keys() -> Iterator[tuple[str, Any]]:
    """Every dotted key of a configuration, and its default."""
    for part in fields(Config):
        value = getattr(Config(), part.name)
        if part.name == "preprocess":
            value = Preprocess.from_dict(value)
        if is_dataclass(value):
            yield from ((f"{part.name}.{inner.name}", getattr(value, inner.name)) for inner in fields(value))
        else:
            yield part.name, value


def _train(options: Any, console: Console, errors: Console) -> None:
    from ..config import load_config, parse_overrides, with_overrides
    from ..files import writable_folder
    from ..runtimes.bundle_files import refuse_bundle
    from ..stamps import StampSet, refuse_stamps

    refuse_bundle(options.out)
    refuse_stamps(options.out)
    # a flag that was not given is not there; `null` is a value like any other, and refused where it does not fit
    overrides = parse_overrides(options.set) | {key: options[key] for key, _ in _keys() if key in options}
    if options.bag is not None and options.bag < 1:
        raise ConfigError(f"--bag {options.bag}: a bag has at least 1 network")
    config = load_config(options.recipe, overrides=overrides) if options.recipe else with_overrides(Config(), overrides)
    stamps = StampSet.load(options.stamps)
    if not np.isin(stamps.labels, (0, 1)).any():
        raise InputError(f"none of {len(stamps)} stamps has a label: fill the column `label` (1 real, 0 bogus)")
    try:
        from ..curation.parts import read_split
        from ..curation.split import told
        from ..dataset.split import split
        from ..evaluation.report import evaluate
        from ..training.bag import bag
        from ..training.planes import check_stamps
        from ..training.train import Progress, train
    except ImportError as error:
        raise ConfigError(NEEDS_TORCH) from error
    parts = read_split(options.parts, stamps) if options.parts else split(stamps, config.split, seed=config.seed)
    if options.parts:  # the card says what was done, not what the recipe would have
        config = replace(config, split=told(parts, stamps.catalogue, Path(options.parts).name))
    judged = parts.test[np.isin(stamps.labels[parts.test], (0, 1)) & stamps.usable[parts.test]]
    check_stamps(stamps, judged, Preprocess.from_dict(config.preprocess))  # they are met after the whole training
    names = [name.strip() for name in options.members.split(",")] if options.members else []
    members = [
        with_overrides(config, {"model.architecture": name, "model.name": name})
        for name in names or [config.model.architecture]
        for _ in range(options.bag or 1)
    ]
    out = writable_folder(options.out)  # now, not after the first epoch
    if options.restart:
        shutil.rmtree(out / "test", ignore_errors=True)  # the report of the model that goes
    with bars(errors) as progress:

        def say(name: str, step: Progress) -> None:
            progress(name, (step.epoch - 1) * step.batches + step.batch, step.epochs * step.batches)

        model: Classifier
        if options.bag or names:
            model = bag(
                stamps, members,
                rows=parts.train, valid_rows=parts.valid,
                seed=config.seed, name=config.model.name, threshold=config.model.threshold,
                out=out, resume=not options.restart, progress=say,
            )  # fmt: skip
        else:
            model = train(
                stamps, config,
                rows=parts.train, valid_rows=parts.valid, out=out, resume=not options.restart,
                progress=lambda step: say("train", step),
            )  # fmt: skip
    tell(console, f"written: {out}")
    tell(console, _calibrated(model.card.calibration, stamps.labels[parts.valid]))
    if set(stamps.labels[parts.test]) >= {0, 1}:
        report = evaluate(model, stamps.select(parts.test))
        report.save(out / "test")
        tell(console, report.to_markdown())


def _calibrated(calibration: Mapping[str, Any] | None, labels: NDArray[np.int64]) -> str:
    if calibration is not None:
        return (
            f"calibration in the card: {calibration['method']}, fitted on {calibration['real']} real and "
            f"{calibration['bogus']} bogus of the validation side; scores stay as they are"
        )
    from ..training.calibrate import LEAST

    return (
        f"no calibration in the card: the validation side holds {int((labels == 1).sum())} real and "
        f"{int((labels == 0).sum())} bogus, {LEAST} usable of each are needed (split.fractions)"
    )


def _evaluate_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("model", type=str, help="an .onnx file, a bundle, a model folder, or `default`")
    add("stamps", type=str, help="folder of labelled stamps")
    add("-o", "--out", type=str, required=True, help="folder for the report; with --against one folder a model")
    add("--against", type=str, nargs="*", action="extend", default=[], metavar="MODEL",
        help="measure these models too, on the same stamps, and compare them, best AUC first")  # fmt: skip
    add("--threshold", type=float, default=None, help="score >= threshold is real; the model's by default")
    add(
        "--prevalence", type=float, default=PREVALENCE, metavar="P",
        help="share of real among the survey's own candidates, for the purity there",
    )  # fmt: skip
    add(
        "--specificity", type=float, default=SPECIFICITY, metavar="S",
        help="share of bogus to turn away where recall and missed real are counted",
    )  # fmt: skip
    add(
        "--draws", type=int, default=1000, metavar="N",
        help="bootstrap draws of every interval, 0 for no intervals",
    )  # fmt: skip


def _evaluate(options: Any, console: Console, errors: Console) -> None:
    from ..ensemble_files import member_path
    from ..evaluation.comparison import write_comparison
    from ..evaluation.report import check_choices, evaluate
    from ..files import writable_folder
    from ..stamps import StampSet

    check_threshold(options.threshold)
    chosen = {name: options[name] for name in ("prevalence", "specificity", "draws")}
    check_choices(**chosen)  # before any model is opened
    models = _named([(given, open_classifier(given)) for given in (options.model, *options.against)])
    stamps, out = StampSet.load(options.stamps), writable_folder(options.out)
    reports = {}
    for place, (name, model) in enumerate(models.items(), start=1):
        reports[name] = report = evaluate(model, stamps, threshold=options.threshold, **chosen)
        folder = out / member_path(place, name).name if len(models) > 1 else out
        report.save(folder)
        tell(console, report.to_markdown())
        tell(console, f"report: {folder / 'report.html'}")
    if len(models) > 1:
        tell(console, f"\n{write_comparison(reports, out).to_markdown()}\ncomparison: {out / 'comparison.md'}")


def _named(models: list[tuple[str, Classifier]]) -> dict[str, Classifier]:
    """Give models that are compared a name each: the card's, and the path where cards share one."""
    if len({given for given, _ in models}) < len(models):
        raise InputError(f"a model is named twice in {', '.join(given for given, _ in models)}: name each once")
    names = [f"{model.card.name} {model.card.version}" for _, model in models]
    return {
        name if names.count(name) == 1 else f"{name} ({given})": model
        for name, (given, model) in zip(names, models, strict=True)
    }


def open_classifier(name: str, *, threads: int = 0, device: Any = "cpu") -> Any:
    """Open an .onnx file, a bundle, a model folder, or `default`."""
    from ..runtimes import default_model, load_classifier

    path = default_model() if name == "default" else Path(name)
    if not path.exists():
        raise InputError(f"there is no model at {path}: give an .onnx file, a bundle, a model folder, or `default`")
    try:
        return load_classifier(path, threads=threads, device=device)
    except ImportError as error:
        raise ConfigError(NEEDS_TORCH) from error


VERBS = (
    Verb("train", "train a model on labelled stamps", _train_arguments, _train),
    Verb("evaluate", "measure a model on labelled stamps", _evaluate_arguments, _evaluate),
)
