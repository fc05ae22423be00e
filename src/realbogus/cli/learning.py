"""Verbs for models: `train evaluate score export`."""

from __future__ import annotations

from argparse import SUPPRESS
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import MaskedColumn
from jsonargparse import ArgumentParser
from rich.console import Console

from ..classifier import Classifier
from ..config import Config
from ..errors import ConfigError, InputError
from ..preprocess import Preprocess
from .images import check_table_path, write_table
from .verb import Verb, bars, check_threshold, tell

__all__ = ["VERBS"]

_NEEDS_TORCH = 'training and model folders need torch: pip install "realbogus[train]"'


def _train_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("stamps", type=str, help="folder of labelled stamps")
    add("-o", "--out", type=str, required=True, help="folder for the model; a run that was cut off carries on")
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
        default=[],
        metavar="KEY=VALUE",
        help="override, for example training.epochs=3",
    )
    add("--bag", type=int, default=None, metavar="N", help="train N networks, each on its own bootstrap, that vote")
    add(
        "--members", type=str, default=None, metavar="A,B,...",
        help="the same with one network (or N) of each of these architectures",
    )  # fmt: skip
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
    from ..pipeline.settings import prepare_output
    from ..stamps import StampSet

    given = {key: options.get(key) for key, _ in _keys()}
    overrides = parse_overrides(options.set) | {key: value for key, value in given.items() if value is not None}
    if options.bag is not None and options.bag < 1:
        raise ConfigError(f"--bag {options.bag}: a bag has at least 1 network")
    config = load_config(options.recipe, overrides=overrides) if options.recipe else with_overrides(Config(), overrides)
    stamps = StampSet.load(options.stamps)
    if not np.isin(stamps.labels, (0, 1)).any():
        raise InputError(f"none of {len(stamps)} stamps has a label: fill the column `label` (1 real, 0 bogus)")
    try:
        from ..dataset.split import split
        from ..evaluation.report import evaluate
        from ..training.bag import bag
        from ..training.train import Progress, train
    except ImportError as error:
        raise ConfigError(_NEEDS_TORCH) from error
    names = [name.strip() for name in options.members.split(",")] if options.members else []
    members = [
        with_overrides(config, {"model.architecture": name, "model.name": name})
        for name in names or [config.model.architecture]
        for _ in range(options.bag or 1)
    ]
    parts = split(stamps, config.split, seed=config.seed)
    out = prepare_output(Path(options.out))  # now, not after the first epoch
    with bars(errors) as progress:

        def say(name: str, step: Progress) -> None:
            progress(name, (step.epoch - 1) * step.batches + step.batch, step.epochs * step.batches)

        model: Classifier
        if options.bag or names:
            model = bag(
                stamps, members,
                rows=parts.train, valid_rows=parts.valid,
                seed=config.seed, name=config.model.name, out=out, progress=say,
            )  # fmt: skip
        else:
            model = train(
                stamps, config,
                rows=parts.train, valid_rows=parts.valid, out=out, progress=lambda step: say("train", step),
            )  # fmt: skip
    tell(console, f"written: {out}")
    if len(parts.test):
        report = evaluate(model, stamps.select(parts.test))
        report.save(out / "test")
        console.print(report.to_markdown(), markup=False, highlight=False)


def _evaluate_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("model", type=str, help="an .onnx file, a model folder, or `default`")
    add("stamps", type=str, help="folder of labelled stamps")
    add("-o", "--out", type=str, required=True, help="folder for the report")
    add("--threshold", type=float, default=None, help="the model's by default")


def _evaluate(options: Any, console: Console, errors: Console) -> None:
    from ..evaluation.report import evaluate
    from ..pipeline.settings import prepare_output
    from ..stamps import StampSet

    check_threshold(options.threshold)
    model, stamps = _model(options.model), StampSet.load(options.stamps)
    out = prepare_output(Path(options.out))
    report = evaluate(model, stamps, threshold=options.threshold)
    report.save(out)
    console.print(report.to_markdown(), markup=False, highlight=False)


def _score_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("stamps", type=str, help="folder of stamps")
    add("-o", "--out", type=str, required=True, help="table to write: .parquet, .csv, .ecsv or .vot")
    add("--model", type=str, default="default", help="an .onnx file, a model folder, or `default`")


def _score(options: Any, console: Console, errors: Console) -> None:
    from ..scoring import channel_indices
    from ..stamps import StampSet

    out = check_table_path(options.out)
    stamps = StampSet.load(options.stamps)
    classifier = _model(options.model)
    rows = stamps.catalogue
    usable = np.asarray(rows["usable"], dtype=bool) if "usable" in rows.colnames else np.ones(len(stamps), dtype=bool)
    scores = np.zeros(len(stamps), dtype=np.float32)
    planes = channel_indices(stamps.channels, classifier.card.channels)
    for start in range(0, len(stamps), 4096):  # stamps lie on disk: a part at a time in memory
        part = np.flatnonzero(usable[start : start + 4096]) + start
        if len(part):
            pixels = np.asarray(stamps.pixels[part][:, planes])
            scores[part] = classifier.predict(pixels, noise=stamps.noise[part], fwhm=stamps.fwhm[part])
    rows["score"] = MaskedColumn(scores, mask=~usable)
    rows["real"] = usable & (scores >= classifier.card.threshold)
    rows["threshold"] = np.full(len(rows), classifier.card.threshold)
    rows["model"] = np.full(len(rows), classifier.card.name)
    rows["model_version"] = np.full(len(rows), classifier.card.version)
    write_table(rows, out)
    tell(
        console,
        f"written: {out}: {int(usable.sum())} of {len(rows)} scored, {int(rows['real'].sum())} at or above "
        f"{classifier.card.threshold:.3f}",
    )


def _export_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", type=str, help="folder of a model or an ensemble")
    parser.add_argument("-o", "--out", type=str, required=True, help=".onnx file to write; for an ensemble, a folder")


def _export(options: Any, console: Console, errors: Console) -> None:
    try:
        from ..ensemble import Ensemble
        from ..model import Model
        from ..runtimes import load_classifier
        from ..runtimes.export import export_onnx
        from ..runtimes.export_ensemble import export_ensemble
    except ImportError as error:
        raise ConfigError(_NEEDS_TORCH) from error
    model = load_classifier(options.model) if Path(options.model).is_dir() else Model.load(options.model)
    if isinstance(model, Ensemble):
        export_ensemble(model, options.out)
    elif isinstance(model, Model):
        export_onnx(model, Path(options.out))
    tell(console, f"written: {options.out}, which reproduces the model")


def _model(name: str) -> Any:
    from ..runtimes import default_model, load_classifier

    path = default_model() if name == "default" else Path(name)
    if not path.exists():
        raise InputError(f"there is no model at {path}: give an .onnx file, a model folder, or `default`")
    try:
        return load_classifier(path)
    except ImportError as error:
        raise ConfigError(_NEEDS_TORCH) from error


VERBS = (
    Verb("train", "train a model on labelled stamps", _train_arguments, _train),
    Verb("evaluate", "measure a model on labelled stamps", _evaluate_arguments, _evaluate),
    Verb("score", "score stamps", _score_arguments, _score),
    Verb(
        "export",
        "export a trained model to ONNX, with proof that it scores alike",
        _export_arguments,
        _export,
    ),
)
