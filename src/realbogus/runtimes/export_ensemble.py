"""From an `Ensemble` of networks in torch to one of ONNX files, which needs no torch."""

from __future__ import annotations

from pathlib import Path

from ..classifier import Classifier
from ..ensemble import Ensemble
from ..errors import ModelError
from ..model import Model
from .bundle_files import refuse_bundle
from .export import to_onnx
from .onnx import OnnxClassifier

__all__ = ["export_ensemble"]


def export_ensemble(ensemble: Ensemble, folder: Path | str, *, tolerance: float = 1e-4) -> Path:
    """Write an ensemble with every network as one ONNX file, checked against it.

    Nothing is written before all are made, and the card last (see `Ensemble.save`): a folder with
    a card is whole, wherever the export was cut off.

    Parameters
    ----------
    ensemble : Ensemble
        Its members may be models, ONNX files and ensembles.
    folder : path
        The folder to write.
    tolerance : float
        Largest difference of two scores of a member that is let pass.

    Returns
    -------
    Path
        The folder, which `load_classifier` opens.

    Raises
    ------
    ParityError
        An export does not reproduce its member.
    OutputError
        The folder cannot be written, or holds a bundle.
    ModelError
        A member is of a kind that cannot be exported.
    """
    refuse_bundle(folder)  # before any work
    return _exported(ensemble, tolerance).save(folder)


def _exported(ensemble: Ensemble, tolerance: float) -> Ensemble:
    members: list[Classifier] = []
    for member in ensemble.members:
        if isinstance(member, Model):
            members.append(to_onnx(member, tolerance=tolerance))
        elif isinstance(member, Ensemble):
            members.append(_exported(member, tolerance))
        elif isinstance(member, OnnxClassifier):
            members.append(member)
        else:
            raise ModelError(f"the member {member.card.name!r} is a {type(member).__name__}, which has no export")
    return Ensemble(members, ensemble.card)
