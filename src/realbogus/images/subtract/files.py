"""A `Difference` as a FITS file: SCI, NOISE and MASK, with its facts in the header."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
from astropy.io import fits

from ...errors import InputError, OutputError
from .difference import Difference

__all__ = ["read_difference", "write_difference"]

_PLANES = {"SCI": "pixels", "NOISE": "noise", "MASK": "mask"}
_FACTS = tuple(f.name for f in fields(Difference) if f.name not in _PLANES.values())


def write_difference(difference: Difference, path: Path | str, header: fits.Header | None = None) -> Path:
    """Write a difference; its facts go into cards named like `RB SIGMA`.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    cards = fits.Header() if header is None else header.copy()
    for name in _FACTS:
        value = getattr(difference, name)
        if isinstance(value, str) or np.isfinite(value):
            cards[f"HIERARCH RB {name.upper()}"] = value
    planes = [
        fits.ImageHDU(getattr(difference, field), cards if name == "SCI" else None, name=name)
        for name, field in _PLANES.items()
    ]
    try:
        fits.HDUList([fits.PrimaryHDU(), *planes]).writeto(path, overwrite=True)
    except OSError as error:
        raise OutputError(f"cannot write the difference to {path}: {error}") from error
    return Path(path)


def read_difference(path: Path | str) -> Difference:
    """Read what `write_difference` wrote.

    Raises
    ------
    InputError
        The file is missing, damaged or no difference of ours.
    """
    try:
        with fits.open(path, memmap=False) as hdus:
            planes = {field: np.ascontiguousarray(hdus[name].data) for name, field in _PLANES.items()}
            header = hdus["SCI"].header
            # only numbers that are not finite were left out by the writer
            facts = {name: header.get(f"RB {name.upper()}", float("nan")) for name in _FACTS}
            facts["sigma"] = header["RB SIGMA"]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is no difference image of ours ({error}): make one with `realbogus subtract`"
        ) from error
    return Difference(
        pixels=planes["pixels"].astype(np.float32), noise=planes["noise"].astype(np.float32),
        mask=planes["mask"].astype(np.uint8), **facts,
    )  # fmt: skip
