"""Verbs for models: `train evaluate score export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import MaskedColumn
from jsonargparse import ArgumentParser
from rich.console import Console

from ..errors import ConfigError, InputError
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


def _train(options: Any, console: Console, errors: Console) -> None:
    from ..config import Config, load_config, parse_overrides, with_overrides
    from ..pipeline.settings import prepare_output
    from ..stamps import StampSet

    overrides = parse_overrides(options.set)
    config = load_config(options.recipe, overrides=overrides) if options.recipe else with_overrides(Config(), overrides)
    stamps = StampSet.load(options.stamps)
    if not np.isin(stamps.labels, (0, 1)).any():
        raise InputError(f"none of {len(stamps)} stamps has a label: fill the column `label` (1 real, 0 bogus)")
    try:
        from ..dataset.split import split
        from ..evaluation.report import evaluate
        from ..training.train import Progress, train
    except ImportError as error:
        raise ConfigError(_NEEDS_TORCH) from error
    parts = split(stamps, config.split, seed=config.seed)
    out = prepare_output(Path(options.out))  # now, not after the first epoch
    with bars(errors) as progress:

        def say(step: Progress) -> None:
            progress("train", (step.epoch - 1) * step.batches + step.batch, step.epochs * step.batches)

        model = train(stamps, config, rows=parts.train, valid_rows=parts.valid, out=out, progress=say)
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
    parser.add_argument("model", type=str, help="model folder")
    parser.add_argument("-o", "--out", type=str, required=True, help=".onnx file to write")


def _export(options: Any, console: Console, errors: Console) -> None:
    try:
        from ..model import Model
        from ..runtimes.export import export_onnx
    except ImportError as error:
        raise ConfigError(_NEEDS_TORCH) from error
    export_onnx(Model.load(options.model), Path(options.out))
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
