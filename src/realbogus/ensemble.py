"""The noun `Ensemble`: several classifiers and a soft vote.

On disk it is a folder, `card.json` and the members under `members/`: a folder for each
`Model` or `Ensemble`, a file for each `.onnx`. torch is loaded only where a member needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .calibration import Calibration
from .classifier import Card, Classifier
from .ensemble_files import CARD, card_of, inside, places
from .errors import InputError, ModelError, OutputError
from .files import write_text
from .scoring import channel_indices, per_stamp, stamps_for
from .stamps import refuse_stamps

__all__ = ["ENSEMBLE", "Ensemble", "calibrations", "is_ensemble", "open_folder", "soft_vote"]

#: What stands in an ensemble's card for the architecture.
ENSEMBLE = "ensemble"
_BATCH = 4096


class Ensemble:
    """Several classifiers; a score is the mean of theirs (soft vote; paper, section 3). A `Classifier`.

    The members prepare stamps each in its own way. The ensemble's card tells what it takes:
    its channels are all that any member needs, its planes all that any member sees.

    Parameters
    ----------
    members : sequence of Classifier
        At least one.
    card : Card
        Its `architecture_options["calibrated"]` says whether the members' scores become
        probabilities by their cards' calibrations before they are averaged.

    Raises
    ------
    ModelError
        No members, a member whose channels the card does not name, or one without a
        calibration where it needs one.

    Examples
    --------
    >>> from realbogus.model import Model
    >>> members = [Model.create(Card(name="toy", architecture="compact"), seed=seed) for seed in (1, 2)]
    >>> ensemble = Ensemble.of(members, name="two")
    >>> stamps = np.zeros((3, 1, 64, 64), "float32")
    >>> one, two = (member.predict(stamps, noise=2.0, fwhm=3.0) for member in members)
    >>> bool(np.allclose(ensemble.predict(stamps, noise=2.0, fwhm=3.0), (one + two) / 2))
    True
    """

    def __init__(self, members: Sequence[Classifier], card: Card) -> None:
        self._members = _some(members)
        self._card = card
        self._calibrations = calibrations(card, [member.card for member in members])
        try:
            self._channels = [channel_indices(card.channels, member.card.channels) for member in members]
        except InputError as error:
            raise ModelError(f"the ensemble {card.name!r} does not hand its members what they need: {error}") from error

    @classmethod
    def of(
        cls,
        members: Sequence[Classifier],
        *,
        name: str = "ensemble",
        threshold: float = 0.5,
        calibrated: bool = False,
    ) -> Ensemble:
        """Put classifiers together under a card made from theirs.

        Parameters
        ----------
        members, name, threshold
            Of the ensemble.
        calibrated : bool
            Whether each member's scores go through its card's calibration before the mean.

        Raises
        ------
        ModelError
            As the class raises it.
        """
        cards = [member.card for member in _some(members)]
        takes = replace(
            cards[0].preprocess,
            planes=tuple(dict.fromkeys(plane for card in cards for plane in card.preprocess.planes)),
            channels=tuple(dict.fromkeys(channel for card in cards for channel in card.channels)),
            size=max(card.preprocess.size for card in cards),
        )
        card = Card(
            name=name,
            architecture=ENSEMBLE,
            architecture_options={"members": places(members), "calibrated": calibrated},
            preprocess=takes,
            threshold=threshold,
            data={"members": [dict(card.data) for card in cards]},
        )
        return cls(members, card)

    @property
    def card(self) -> Card:
        """What the ensemble is."""
        return self._card

    @property
    def members(self) -> tuple[Classifier, ...]:
        """Who votes, in order."""
        return self._members

    def with_card(self, card: Card) -> Ensemble:
        """Return the same members under another card (another threshold, say)."""
        return type(self)(self._members, card)

    def with_threshold(self, threshold: float) -> Ensemble:
        """Return the same members with another threshold in the ensemble's card."""
        return self.with_card(self._card.with_threshold(threshold))

    def predict(
        self, pixels: ArrayLike, *, noise: ArrayLike | None = None, fwhm: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Score stamps; see `Classifier` for the arguments.

        Raises
        ------
        InputError
            The stamps do not fit the card, or hold non-finite pixels.
        """
        stamps = stamps_for(self._card, pixels)
        sigma, size = per_stamp("noise", noise, len(stamps)), per_stamp("fwhm", fwhm, len(stamps))
        scores = np.empty(len(stamps), dtype=np.float32)
        for start in range(0, len(stamps), _BATCH):  # stamps may lie on disk: a part at a time in memory
            rows = slice(start, start + _BATCH)
            part = np.asarray(stamps[rows])
            facts = {"noise": None if sigma is None else sigma[rows], "fwhm": None if size is None else size[rows]}
            pairs = zip(self._members, self._channels, strict=True)
            scores[rows] = soft_vote(
                (member.predict(part[:, channels], **facts) for member, channels in pairs), self._calibrations
            )
        return scores

    def save(self, folder: Path | str) -> Path:
        """Write the ensemble as a folder, each member within it, and return the folder.

        The card is written last and an old one removed first: a folder with a card is whole.

        Raises
        ------
        OutputError
            The folder cannot be written, or holds a stamp set.
        ModelError
            A member cannot be saved.
        """
        folder = Path(folder)
        refuse_stamps(folder)
        card = replace(
            self._card,
            architecture=ENSEMBLE,
            architecture_options={**self._card.architecture_options, "members": places(self._members)},
        )
        try:
            (folder / "members").mkdir(parents=True, exist_ok=True)
            (folder / CARD).unlink(missing_ok=True)
            for member, place in zip(self._members, card.architecture_options["members"], strict=True):
                save = getattr(member, "save", None)
                if save is None:
                    raise ModelError(f"the member {member.card.name!r} is a {type(member).__name__}, which has no save")
                save(folder / place)
            write_text(folder / CARD, card.to_json() + "\n")
        except OSError as error:
            raise OutputError(f"cannot write the ensemble {folder}: {error}; choose a folder you may write") from error
        return folder

    @classmethod
    def load(
        cls, folder: Path | str, *, device: Any = "cpu", open_file: Callable[[Path], Classifier] | None = None
    ) -> Ensemble:
        """Read a folder written by `save`.

        Parameters
        ----------
        folder : path
            The folder.
        device : str or torch.device
            Where the members in torch run.
        open_file : callable, optional
            Opens a member that is a file, as `runtimes.load_classifier` does; an error without it.

        Raises
        ------
        ModelError
            The folder or a member is missing, damaged, of another version or outside the folder.
        """
        folder = Path(folder)
        card = card_of(folder)
        if card.architecture != ENSEMBLE:
            raise ModelError(f"{folder} holds one model ({card.architecture}), no ensemble: open it with Model.load")
        names = card.architecture_options.get("members")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise ModelError(f"the card of {folder} names no members ({names!r}): the file is damaged, copy it again")
        members = []
        for name in names:
            path = inside(folder, name)
            if path.is_dir():
                members.append(open_folder(path, device=device, open_file=open_file))
            elif open_file is not None:
                members.append(open_file(path))
            else:
                raise ModelError(f"the member {path} is a file: open the ensemble with runtimes.load_classifier")
        return cls(members, card)


def open_folder(
    folder: Path | str, *, device: Any = "cpu", open_file: Callable[[Path], Classifier] | None = None
) -> Classifier:
    """Open the `Model` or `Ensemble` that a folder holds; arguments as `Ensemble.load` has them.

    Raises
    ------
    ModelError
        Nothing there, damaged, of another version, or it needs torch, which is not installed.
    """
    if is_ensemble(folder):
        return Ensemble.load(folder, device=device, open_file=open_file)
    try:
        from .model import Model
    except ModuleNotFoundError as error:
        raise ModelError(
            f"{folder} is a model folder, which needs torch ({error}): install realbogus[train], "
            "or export it to one .onnx file where torch is installed"
        ) from error
    return Model.load(folder, device=device)


def is_ensemble(folder: Path | str) -> bool:
    """Whether a folder holds an ensemble rather than one model, or nothing.

    Raises
    ------
    ModelError
        Its card is damaged or of another version.
    """
    return (Path(folder) / CARD).is_file() and card_of(Path(folder)).architecture == ENSEMBLE


def _some(members: Sequence[Classifier]) -> tuple[Classifier, ...]:
    if not members:
        raise ModelError("an ensemble of no members: hand in at least one classifier")
    return tuple(members)


def calibrations(card: Card, members: Sequence[Card]) -> tuple[Calibration | None, ...]:
    """Return what each member's scores go through before the vote; None where they are taken as they are.

    Raises
    ------
    ModelError
        The ensemble's card asks for calibrations and a member has none, or it says neither yes nor no.
    """
    calibrated = card.architecture_options.get("calibrated", False)
    if not isinstance(calibrated, bool):
        raise ModelError(
            f"the card of {card.name!r} says calibrated {calibrated!r}, expected true or false: copy the model again"
        )
    return tuple(_calibration(member) if calibrated else None for member in members)


def _calibration(member: Card) -> Calibration:
    if member.calibration is None:
        raise ModelError(f"the member {member.name!r} has no calibration in its card: fit one, or set calibrated=False")
    return Calibration.from_dict(member.calibration)


def soft_vote(votes: Iterable[NDArray[np.float32]], calibrated: Sequence[Calibration | None]) -> NDArray[np.float32]:
    """Return the mean of the members' scores, (N,) each, put through what `calibrations` gave (paper, section 3).

    Examples
    --------
    >>> soft_vote([np.float32([0.5, 1.0]), np.float32([0.0, 0.5])], [None, None]).tolist()
    [0.25, 0.75]
    """
    total: NDArray[np.float64] | float = 0.0
    for scores, calibrate in zip(votes, calibrated, strict=True):
        total = total + (scores if calibrate is None else calibrate(scores)).astype(np.float64)
    return np.asarray(total / len(calibrated), dtype=np.float32)
