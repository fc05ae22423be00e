"""The verb `distil`: a small student of a model or an ensemble."""

from __future__ import annotations

import json
from typing import Any

from jsonargparse import ArgumentParser
from rich.console import Console

from ..classifier import Classifier
from ..errors import ConfigError
from ..files import write_text
from ..stamps import StampSet, refuse_stamps
from .deploy import show_certificate
from .verb import NEEDS_TORCH, Verb, bars, tell

__all__ = ["VERBS"]


def _arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("teacher", type=str, help="folder of a model or ensemble, a bundle, an .onnx file, or `default`")
    add("stamps", type=str, help="folder of stamps; those without a label teach as well")
    add("-o", "--out", type=str, required=True, help="folder for the student; a run that was cut off carries on")
    add("--restart", action="store_true", help="start afresh: remove what an earlier run left in the folder")
    add("--recipe", type=str, default=None, metavar="TOML", help="the student's recipe, as configs/student.toml has it "
        "(default: that)")  # fmt: skip
    add(
        "--set",
        type=str,
        nargs="*",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="override, as training.epochs=3",
    )
    add("--parts", type=str, default=None, metavar="TABLE", help="sides that `realbogus split` gave these stamps; by "
        "the recipe's own `split` values where absent")  # fmt: skip
    add(
        "--labels",
        type=float,
        default=None,
        metavar="SHARE",
        help="share of the label in what a labelled stamp teaches, 0 (the teacher alone) to 1 (default: 0.3)",
    )


def _distil(options: Any, console: Console, errors: Console) -> None:
    try:
        from ..training.distil import CERTIFICATE_FILE, LABELS, distil, student_config
        from ..training.train import Progress
    except ImportError as error:
        raise ConfigError(NEEDS_TORCH) from error
    from ..config import load_config, parse_overrides, with_overrides
    from ..curation.parts import read_split
    from ..dataset.split import split
    from ..files import writable_folder
    from ..runtimes.bundle_files import refuse_bundle
    from ..runtimes.certificate import certify, data_hash, held_out_rows
    from ..runtimes.tolerance import STUDENT
    from ..scoring import score_rows
    from .learning import open_classifier

    refuse_bundle(options.out)
    refuse_stamps(options.out)
    labels = LABELS if options.labels is None else options.labels
    overrides = parse_overrides(options.set)
    recipe = load_config(options.recipe, overrides=overrides) if options.recipe else None
    teacher: Classifier = open_classifier(options.teacher)
    stamps = StampSet.load(options.stamps)
    config = recipe or with_overrides(student_config(stamps.channels), overrides)
    parts = read_split(options.parts, stamps) if options.parts else split(stamps, config.split, seed=config.seed)
    test = stamps.select(parts.test)
    rows = held_out_rows(test)  # a student that cannot be examined is not taught
    out = writable_folder(options.out)
    with bars(errors) as progress:

        def say(step: Progress) -> None:
            progress("distil", (step.epoch - 1) * step.batches + step.batch, step.epochs * step.batches)

        student = distil(
            teacher, stamps, config, rows=parts.train, valid_rows=parts.valid, labels=labels,
            out=out, resume=not options.restart,
            scoring=lambda done, of: progress("teacher", done, of), progress=say,
        )  # fmt: skip
    certificate = certify(
        score_rows(teacher, test, rows),
        score_rows(student, test, rows),
        test.labels[rows],
        threshold=teacher.card.threshold,
        threshold_after=student.card.threshold,
        precision="f32",
        tolerance=STUDENT,
        data=data_hash(test, rows),
    )
    write_text(out / CERTIFICATE_FILE, json.dumps(certificate.to_dict(), indent=1) + "\n")
    show_certificate(certificate, console, f"{student.card.name}, a student of {teacher.card.name}")
    for complaint in certificate.complaints():
        tell(console, f"short of the aim: {complaint}")
    tell(console, f"written: {out}")


VERBS = (Verb("distil", "teach a small student what a model or an ensemble knows", _arguments, _distil),)
