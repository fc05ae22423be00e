"""What the answers look like, for OpenAPI. Needs pydantic."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Answer", "Candidate", "Change", "Health", "PolicyAnswer", "PolicyLine", "Problem", "Unread"]


class _Shape(BaseModel):
    model_config = ConfigDict(protected_namespaces=())  # `model_version` is ours


class Candidate(_Shape):
    """One stamp, in the order in which they came."""

    id: str = Field(description="As the packet, the FITS header or `?id=` says; else its place in the body")
    score: float | None = Field(ge=0, le=1, description="1 is real; null where there is none")
    probability: float | None = Field(ge=0, le=1, description="Calibrated; null where the model has no calibration")
    real: bool = Field(description="Whether the score reaches the threshold")
    threshold: float
    policy: str = Field(description="What the threshold is from")
    model: str
    model_version: str
    reason: str | None = Field(description="Why there is no score")
    noise: float | None = Field(description="Sigma that was used, in the stamp's units")
    noise_from: str = Field(description="given, packet or measured")
    fwhm: float | None = Field(description="PSF size that was used, pixels")
    fwhm_from: str = Field(description="given, packet, measured or assumed")
    missing: float = Field(ge=0, le=1, description="Share of the stamp's pixels that had to be filled")


class Unread(_Shape):
    """An alert that gave no candidate."""

    id: str
    reason: str
    where: str


class Answer(_Shape):
    """Candidates and failed together are what came in."""

    model: str
    model_version: str
    policy: str
    candidates: list[Candidate]
    failed: list[Unread]


class Problem(_Shape):
    """Why there is no answer."""

    detail: str


class Health(_Shape):
    """How the service is."""

    ready: bool
    model: str
    model_version: str
    realbogus: str
    uptime_s: float = Field(ge=0)
    waiting: int = Field(ge=0, description="Stamps that wait to be scored")


class PolicyLine(_Shape):
    """A change of the policy, or one that was refused."""

    time: str
    who: str
    why: str
    old: str | None
    new: str | None
    refused: str | None


class PolicyAnswer(_Shape):
    """Which scores are real."""

    policy: str
    changeable: bool
    history: list[PolicyLine] = Field(description="The last changes, oldest first")


class Change(_Shape):
    """A new policy."""

    model_config = ConfigDict(extra="forbid")

    policy: str = Field(min_length=1, max_length=100, description="As 0.7, purity=0.9 or at-most=100")
    who: str = Field(default="", max_length=100)
    why: str = Field(default="", max_length=500)
