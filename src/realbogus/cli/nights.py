"""Verbs for whole nights: `night` and `simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from jsonargparse.typing import NonNegativeInt
from rich.console import Console

from ..errors import InputError
from ..pipeline.night import NightResult, night
from ..pipeline.settings import FORMATS, NightSettings, prepare_output
from ..pipeline.terminal import ranked_table
from .verb import Verb, bars, check_threshold, telescope_option, tell

__all__ = ["VERBS"]


def _night_arguments(parser: ArgumentParser) -> None:
    default = NightSettings()
    add = parser.add_argument
    add("frames", type=str, help="folder of FITS frames")
    add("-o", "--out", type=str, required=True, help="folder for the results")
    telescope_option(parser)
    add(
        "--reference",
        type=str,
        default=None,
        help="reference image; made of the night's best frames by default",
    )
    add(
        "--members",
        type=int,
        default=default.members,
        help="frames a reference is made of (default: %(default)s)",
    )
    add("--model", type=str, default=None, help="model that scores; the shipped one by default")
    add(
        "--threshold",
        type=float,
        default=None,
        help="score from which a candidate is real; the model's by default",
    )
    add(
        "--known",
        type=str,
        default=None,
        metavar="CATALOGUE",
        help="table of known variables to flag (ra, dec)",
    )
    add("--known-radius-arcsec", type=float, default=5.0, help="how near a known object must be")
    add(
        "--method",
        default=default.method,
        help="subtraction: alard-lupton, hotpants, plain (default: %(default)s)",
    )
    add("--detector", default=default.detector, help="sep or source-extractor (default: %(default)s)")
    add(
        "--detection-threshold",
        type=float,
        default=default.detection_threshold,
        help="in sigma (default: %(default)s)",
    )
    add(
        "--min-area",
        type=int,
        default=default.min_area,
        help="connected pixels; by the size of the PSF by default",
    )
    add("--inject", type=int, default=0, metavar="N", help="synthetic sources put into every frame")
    add(
        "--inject-snr",
        type=float,
        nargs=2,
        default=list(default.inject_snr),
        metavar=("LO", "HI"),
        help="their S/N range",
    )
    add("--seed", type=NonNegativeInt, default=0, help="of everything random")
    add(
        "--calibrate",
        action="store_true",
        help="set the threshold from injections into the night's own frames",
    )
    add(
        "--completeness",
        type=float,
        default=default.completeness,
        help="share of detected injections that --calibrate keeps (default: %(default)s)",
    )
    add(
        "--triptychs",
        action="store_true",
        help="keep science and reference in the output's stamps, not only the difference",
    )
    add("--also", type=str, default="", help=f"further formats, comma separated: {','.join(FORMATS)}")
    add("--jobs", type=int, default=None, help="processes; as many as there are processors by default")


def _settings(options: Any) -> NightSettings:
    return NightSettings(
        telescope=options.telescope, method=options.method, detector=options.detector,
        detection_threshold=options.detection_threshold, min_area=options.min_area, members=options.members,
        reference=options.reference, inject=options.inject, inject_snr=tuple(options.inject_snr), seed=options.seed,
        calibrate=options.calibrate, completeness=options.completeness, triptychs=options.triptychs,
    )  # fmt: skip


def _night(options: Any, console: Console, errors: Console) -> None:
    also = tuple(name.strip() for name in options.also.split(",") if name.strip())
    check_threshold(options.threshold)
    settings = _settings(options)
    with bars(errors) as progress:
        result = night(
            options.frames, options.out, settings=settings, model=options.model, threshold=options.threshold,
            known=options.known, known_radius_arcsec=options.known_radius_arcsec, also=also, jobs=options.jobs,
            progress=progress,
        )  # fmt: skip
    _tell(result, console)


def _tell(result: NightResult, console: Console) -> None:
    ranked_table(result.candidates, console)
    summary = result.summary
    frames = summary["frames"]
    console.print(
        f"{frames['used']} of {frames['in']} frames used; {summary['detections']} detections, "
        f"{summary['above_threshold']} at or above {summary['threshold']:.3f}; {summary['seconds']['total']:.0f} s"
    )
    for name, reason in frames["failed"].items():
        tell(console, f"  failed {name}: {reason}")
    if "injected" in summary:
        found = summary["injected"]
        console.print(f"injected {found['n']}, detected {found['detected']}, found {found['found']}")
    if "calibration" in summary:
        check = summary["calibration"]
        console.print(
            f"calibrated at {check['completeness']:.0%} completeness: cross-validated, "
            f"{check['found_fraction']:.1%} of the detected injections found and "
            f"{check['natural_fraction']:.2%} of natural detections above"
        )
    for warning in summary["warnings"]:
        tell(console, f"warning: {warning}")
    tell(console, f"report: {result.report.resolve()}")


def _simulate_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("-o", "--out", type=str, required=True, help="folder to write")
    add("--preset", default="mini-sitian", help="mini-sitian or varied (default: %(default)s)")
    add("--frames", type=int, default=10, help="frames of the night (default: %(default)s)")
    add(
        "--size",
        type=int,
        nargs=2,
        default=[1024, 1024],
        metavar=("H", "W"),
        help="pixels (default: 1024 1024)",
    )
    add(
        "--stamps",
        type=int,
        default=0,
        metavar="PAIRS",
        help="instead of a night, write labelled stamps of so many pairs of frames",
    )
    add(
        "--scale",
        default=None,
        help="instead of a night, write the benchmark stamps of this size: smoke, small or paper; "
        "fixed by seed, a run that was cut off carries on",
    )
    add("--seed", type=NonNegativeInt, default=0, help="of everything random")
    add("--jobs", type=int, default=1, help="processes, for --stamps and --scale")


def _simulate(options: Any, console: Console, errors: Console) -> None:
    if options.stamps < 0 or options.jobs < 1:
        raise InputError(f"stamps {options.stamps}, jobs {options.jobs}: give 0 or more pairs and 1 or more processes")
    if options.scale is not None and (options.preset != "mini-sitian" or options.stamps):
        raise InputError(
            f"--scale {options.scale} is a fixed set of the preset mini-sitian: it goes neither with --stamps "
            f"nor with --preset {options.preset}"
        )
    out = prepare_output(Path(options.out))
    with bars(errors) as progress:
        if options.scale is not None:
            from ..dataset.benchmark import benchmark_stamps

            benchmark_stamps(
                options.scale, jobs=options.jobs, out=out, progress=lambda done, of: progress("fields", done, of)
            )
            written = out
        elif options.stamps:
            from ..dataset.assemble import simulate_stamps
            from ..stamps import refuse_model

            refuse_model(out)
            stamps = simulate_stamps(
                options.preset, options.stamps, seed=options.seed, jobs=options.jobs,
                progress=lambda done, of: progress("pairs", done, of),
            )  # fmt: skip
            written = stamps.save(out)
        else:
            from ..images.simulate import simulate_night

            written = simulate_night(
                out, preset=options.preset, frames=options.frames, size=tuple(options.size),
                seed=options.seed, progress=lambda done, of: progress("frames", done, of),
            )  # fmt: skip
    tell(console, f"written: {written}")


VERBS = (
    Verb("night", "turn a night of frames into a ranked candidate list", _night_arguments, _night),
    Verb("simulate", "simulate a night with truth, or labelled stamps", _simulate_arguments, _simulate),
)
