"""The noun `Model`: a network and its card.

On disk it is a folder of two files, `weights.safetensors` and `card.json`: data, no code.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .architectures import build_network
from .classifier import Card
from .errors import ConfigError, ModelError, OutputError, UnknownNameError
from .files import write_text, write_whole
from .scoring import score_stamps
from .stamps import refuse_stamps

__all__ = ["CARD_FILE", "WEIGHTS_FILE", "Model"]

WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "card.json"
#: The maps of so many stamps stay in a CPU's cache; a thousand at a time take almost twice as long.
_CPU_BATCH = 128


class Model:
    """A network in torch, and the card that says how to use it. A `Classifier`.

    Parameters
    ----------
    network : torch.nn.Module
        Planes (N, P, S, S) to logits, (N,) or (N, 1).
    card : Card
        Preprocessing, threshold, views.
    device : str or torch.device
        Where it runs.

    Examples
    --------
    >>> import numpy as np
    >>> model = Model.create(Card(name="toy", architecture="compact", views=2), seed=1)
    >>> scores = model.predict(np.zeros((3, 1, 64, 64), "float32"), noise=2.0, fwhm=3.0)
    >>> scores.shape, bool(((0 <= scores) & (scores <= 1)).all())
    ((3,), True)
    """

    def __init__(self, network: nn.Module, card: Card, *, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        # channels last: convolutions of few features run a third quicker so on a CPU
        self.network = network.to(self.device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._card = card

    @classmethod
    def create(cls, card: Card, *, seed: int = 0, device: str | torch.device = "cpu") -> Model:
        """Build the network that the card names, with random weights drawn from `seed`.

        Raises
        ------
        UnknownNameError, ConfigError
            The card names no known architecture, or options it does not take.
        """
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # the generators of GPUs stay as they are
            network = build_network(
                card.architecture,
                len(card.preprocess.planes),
                card.preprocess.size,
                **card.architecture_options,
            )
        return cls(network, card, device=device)

    @property
    def card(self) -> Card:
        """What the model is."""
        return self._card

    def with_card(self, card: Card) -> Model:
        """Return the same network under another card (another threshold, say)."""
        return type(self)(self.network, card, device=self.device)

    @property
    def parameters(self) -> int:
        """Number of trained numbers."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def logits(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network on ready planes, (N, P, S, S), and return logits, (N,)."""
        self.network.eval()
        ready = torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float32))
        logits = [ready.new_empty(0)]
        with torch.inference_mode():
            size = _CPU_BATCH if self.device.type == "cpu" else max(len(ready), 1)
            for part in torch.split(ready, size):
                batch = part.to(self.device).contiguous(memory_format=torch.channels_last)
                logits.append(cast(Tensor, self.network(batch)).float().reshape(-1).cpu())
        values: NDArray[np.float32] = torch.cat(logits).numpy()
        return values

    def predict(
        self,
        pixels: ArrayLike,
        *,
        noise: ArrayLike | None = None,
        fwhm: ArrayLike | None = None,
        batch: int = 1024,
    ) -> NDArray[np.float32]:
        """Score stamps; see `Classifier` for the arguments.

        The views of the card are averaged as logits, then go through the sigmoid.

        Raises
        ------
        InputError
            The stamps do not fit the card, or hold non-finite pixels.
        """
        return score_stamps(self._card, self.logits, pixels, noise=noise, fwhm=fwhm, batch=batch)

    def save(self, folder: Path | str) -> Path:
        """Write the model as a folder and return it.

        Raises
        ------
        OutputError
            The folder cannot be written, or holds a stamp set.
        """
        folder = Path(folder)
        refuse_stamps(folder)
        state = {name: value.detach().cpu().contiguous() for name, value in self.network.state_dict().items()}
        try:
            write_whole(folder / WEIGHTS_FILE, lambda part: save_file(state, part))
            write_text(folder / CARD_FILE, self._card.to_json() + "\n")
        except SafetensorError as error:
            raise OutputError(f"cannot write the model to {folder}: {error}; choose a folder you may write") from error
        return folder

    @classmethod
    def load(cls, folder: Path | str, *, device: str | torch.device = "cpu") -> Model:
        """Read a folder written by `save`.

        Raises
        ------
        ModelError
            The folder is missing, incomplete or damaged, its card has another version, or it
            names an architecture that is not known here.
        ConfigError
            torch sees no such device.
        """
        folder = Path(folder)
        if torch.device(device).type == "cuda" and not torch.cuda.is_available():
            raise ConfigError(f"device {str(device)!r}: torch sees no GPU here; choose cpu")
        try:
            text = (folder / CARD_FILE).read_bytes()
        except OSError as error:
            raise ModelError(
                f"{folder} is no model ({error}); expected a folder with {WEIGHTS_FILE} and {CARD_FILE}"
            ) from error
        card = Card.from_json(text, source=str(folder / CARD_FILE))
        try:
            model = cls.create(card, device=device)
        except (UnknownNameError, ConfigError) as error:
            raise ModelError(f"the model in {folder} cannot be built: {error}") from error
        try:
            state = load_file(folder / WEIGHTS_FILE)
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"the weights {folder / WEIGHTS_FILE} cannot be read ({error}): "
                "the file is missing or damaged; copy the model again"
            ) from error
        try:
            model.network.load_state_dict(state)
        except RuntimeError as error:
            raise ModelError(f"the weights in {folder} are not of the architecture in its card: {error}") from error
        return model

    def with_threshold(self, threshold: float) -> Model:
        """Return the same network with another threshold in its card."""
        return self.with_card(replace(self._card, threshold=float(threshold)))
