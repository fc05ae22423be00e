"""Verbs for single stages of image work: `reference subtract detect cut inject`."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from astropy.table import Table
from jsonargparse import ArgumentParser
from jsonargparse.typing import NonNegativeInt
from rich.console import Console

from ..errors import FrameError, InputError
from ..files import write_whole
from ..pipeline.products import for_votable
from ..tables import FORMATS, read_any, write_parquet
from .verb import Verb, bars, check_output_file, refuse_inputs, telescope_option, tell

__all__ = ["VERBS"]


def _reference_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("frames", type=str, help="folder of FITS frames")
    parser.add_argument("-o", "--out", type=str, required=True, help="FITS file to write")
    parser.add_argument("--members", type=int, default=12, help="frames to use at most (default: %(default)s)")
    telescope_option(parser)


def _reference(options: Any, console: Console, errors: Console) -> None:
    from ..images.read import find_frames
    from ..pipeline.prepare import prepare_reference
    from ..pipeline.settings import NightSettings
    from ..pipeline.survey import look
    from ..pipeline.workers import run_jobs

    settings = NightSettings(telescope=options.telescope, members=options.members)
    paths = find_frames(options.frames)
    out = Path(options.out)
    refuse_inputs(out, paths)
    check_output_file(out)
    with bars(errors) as progress:
        jobs = [(path, options.telescope) for path in paths]
        seen = run_jobs(look, jobs, processes=1, progress=lambda done, of: progress("survey", done, of))
        for path, result in zip(paths, seen, strict=True):
            if isinstance(result, FrameError):
                tell(errors, f"left out {path.name}: {result}")
        good = [result for result in seen if not isinstance(result, FrameError)]
        if not good:
            raise FrameError(
                f"none of the {len(paths)} frames in {options.frames} can be used: the reasons stand above"
            )
        with TemporaryDirectory(dir=out.parent, prefix=".making-") as making:  # an older one stays until this is whole
            baseline = prepare_reference(good, settings, Path(making) / out.name)
            os.replace(baseline.path, out)
    for name, reason in baseline.failed.items():
        tell(errors, f"left out {name}: {reason}")
    reference = baseline.reference
    tell(
        console,
        f"written: {out}: {len(reference.members)} frames, {reference.frame.shape[1]} x {reference.frame.shape[0]} px, "
        f"FWHM {reference.measurement.fwhm:.2f} px",
    )


def _subtract_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("science", type=str, help="science frame")
    parser.add_argument("reference", type=str, help="reference image, of `realbogus reference` or anyone's")
    parser.add_argument("-o", "--out", type=str, required=True, help="difference FITS file to write")
    parser.add_argument(
        "--method", default="alard-lupton", help="alard-lupton, hotpants or plain (default: %(default)s)"
    )
    telescope_option(parser)


def _subtract(options: Any, console: Console, errors: Console) -> None:
    from ..images.align import find_transform
    from ..images.measure import measure
    from ..images.read import read_frame
    from ..images.reference import warp_reference
    from ..images.reference_io import read_reference
    from ..images.subtract import METHODS, subtract
    from ..images.subtract.files import write_difference

    METHODS.resolve(options.method)
    refuse_inputs(options.out, [options.science, options.reference])
    science = read_frame(options.science, options.telescope)
    seen = measure(science)
    reference = read_reference(options.reference, options.telescope)
    transform = find_transform(reference.frame, reference.measurement, science, seen)
    difference = subtract(science, warp_reference(reference, transform, science.shape), seen, method=options.method)
    header = science.wcs.to_header(relax=True) if science.wcs is not None else None
    written = write_difference(difference, options.out, header)
    tell(
        console,
        f"written: {written}: {difference.stars} stars, {difference.convolved} convolved, noise "
        f"{difference.sigma:.2f} ADU ({difference.noise_ratio:.2f} of what is expected), FWHM {difference.fwhm:.2f} px",
    )


def _detect_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("difference", type=str, help="difference image of `realbogus subtract`")
    parser.add_argument("-o", "--out", type=str, required=True, help="table to write: .parquet, .csv, .ecsv or .vot")
    parser.add_argument("--detector", default="sep", help="sep or source-extractor (default: %(default)s)")
    parser.add_argument("--detection-threshold", type=float, default=2.5, help="in sigma (default: %(default)s)")
    parser.add_argument(
        "--min-area", type=int, default=None, help="connected pixels; by the size of the PSF by default"
    )


def _detect(options: Any, console: Console, errors: Console) -> None:
    from ..images.detect import detect
    from ..images.subtract.files import read_difference

    out = check_table_path(options.out)
    difference = read_difference(options.difference)
    found = detect(
        difference, threshold=options.detection_threshold, min_area=options.min_area, method=options.detector
    )
    found["id"] = [f"{Path(options.difference).name}#{k}" for k in range(len(found))]
    found["noise"] = np.full(len(found), difference.sigma, dtype=np.float32)
    found["fwhm"] = np.full(len(found), difference.fwhm, dtype=np.float32)
    write_table(found, out)
    tell(console, f"written: {out}: {len(found)} detections")


def _cut_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("difference", type=str, help="difference image of `realbogus subtract`")
    parser.add_argument("catalogue", type=str, help="table with x and y, of `realbogus detect` or anyone's")
    parser.add_argument("-o", "--out", type=str, required=True, help="folder of stamps to write")


def _cut(options: Any, console: Console, errors: Console) -> None:
    from ..images.cut import cut
    from ..images.subtract.files import read_difference
    from ..stamps import StampSet, refuse_model

    refuse_model(options.out)
    difference = read_difference(options.difference)
    rows = read_any(options.catalogue)
    if not {"x", "y"} <= set(rows.colnames):
        raise InputError(f"{options.catalogue} has the columns {rows.colnames}, expected x and y in pixels")
    pixels, missing, usable = cut(rows, [difference.pixels], difference.mask)
    rows["missing"], rows["usable"] = missing, usable
    if "id" not in rows.colnames:
        rows["id"] = [f"{Path(options.difference).name}#{k}" for k in range(len(rows))]
    rows["noise"] = np.full(len(rows), difference.sigma, dtype=np.float32)
    rows["fwhm"] = np.full(len(rows), difference.fwhm, dtype=np.float32)
    StampSet(pixels, rows, ("difference",), {"difference": str(options.difference)}).save(options.out)
    tell(console, f"written: {options.out}: {len(rows)} stamps, {int((~usable).sum())} of them unusable")


def _inject_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("frame", type=str, help="frame to put sources into")
    parser.add_argument(
        "-o", "--out", type=str, required=True, help="FITS file to write; the truth goes beside it as .ecsv"
    )
    parser.add_argument("--inject", type=int, default=10, metavar="N", help="sources (default: %(default)s)")
    parser.add_argument(
        "--inject-snr", type=float, nargs=2, default=[5.0, 50.0], metavar=("LO", "HI"), help="S/N range"
    )
    parser.add_argument("--seed", type=NonNegativeInt, default=0, help="of everything random")
    telescope_option(parser)


def _inject(options: Any, console: Console, errors: Console) -> None:
    from ..images.inject import inject
    from ..images.measure import measure
    from ..images.read import read_frame
    from ..images.write import write_frame

    refuse_inputs(options.out, [options.frame])
    frame = read_frame(options.frame, options.telescope)
    low, high = options.inject_snr
    filled, truth = inject(
        frame, measure(frame), options.inject, rng=np.random.default_rng(options.seed), snr=(low, high)
    )
    out = Path(options.out)
    write_frame(filled, out)
    write_table(truth, out.with_suffix(".ecsv"))
    tell(console, f"written: {out} with {len(truth)} sources, truth in {out.with_suffix('.ecsv')}")


def check_table_path(name: str) -> Path:
    """Refuse a suffix that `write_table` does not know, before any work is done."""
    path = Path(name)
    if path.suffix != ".parquet" and path.suffix not in FORMATS:
        raise InputError(f"{path.name}: write a table as .parquet, {', '.join(FORMATS)}")
    return path


def write_table(table: Table, path: Path) -> None:
    """Write a table in the format that its suffix names, whole or not at all; an older one is replaced."""
    if path.suffix == ".parquet":
        write_whole(path, lambda part: write_parquet(table, part))
        return
    plain = for_votable(table) if path.suffix == ".vot" else table
    write_whole(path, lambda part: plain.write(part, format=FORMATS[path.suffix], overwrite=True))


VERBS = (
    Verb("reference", "make a reference image of a folder of frames", _reference_arguments, _reference),
    Verb("subtract", "subtract a reference from a frame", _subtract_arguments, _subtract),
    Verb("detect", "detect sources of both signs on a difference image", _detect_arguments, _detect),
    Verb("cut", "cut 64 x 64 stamps around the rows of a table", _cut_arguments, _cut),
    Verb("inject", "put synthetic sources into a frame, with a truth table", _inject_arguments, _inject),
)
