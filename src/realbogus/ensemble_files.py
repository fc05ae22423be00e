"""Where an ensemble's parts lie in its folder: `card.json`, and the members under `members/`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from .classifier import Card, Classifier
from .errors import ModelError

__all__ = ["CARD", "card_of", "inside", "member_path", "places"]

#: The ensemble's own card.
CARD = "card.json"


def member_path(place: int, name: str, suffix: str = "") -> Path:
    """Where in an ensemble's folder the member of a place and name lies.

    Examples
    --------
    >>> member_path(1, "resnet18 (paper)", ".onnx").as_posix()
    'members/01-resnet18-paper.onnx'
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "member"
    return Path("members") / f"{place:02d}-{plain}{suffix}"


def places(members: Sequence[Classifier]) -> list[str]:
    """Return the path of each member within the folder."""
    suffixes = [cast(str, getattr(member, "suffix", "")) for member in members]
    return [member_path(k, m.card.name, suffixes[k]).as_posix() for k, m in enumerate(members)]


def inside(folder: Path, name: str) -> Path:
    """Return where a member lies; what leaves the ensemble's folder is not followed.

    Raises
    ------
    ModelError
        It leaves the folder, or is not there.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()) or path.resolve() == folder.resolve():
        raise ModelError(f"the card of {folder} names the member {name!r}, which lies outside it: it is not opened")
    if not path.exists():
        raise ModelError(f"the ensemble {folder} lacks its member {name!r}: copy the whole folder again")
    return path


def card_of(folder: Path) -> Card:
    """Read the card of an ensemble's folder.

    Raises
    ------
    ModelError
        There is none, or it is damaged or of another version.
    """
    try:
        text = (folder / CARD).read_bytes()
    except OSError as error:
        raise ModelError(f"{folder} is no ensemble ({error}); expected a folder with {CARD} and members/") from error
    return Card.from_json(text, source=str(folder / CARD))
