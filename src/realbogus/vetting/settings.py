"""How a set is shown to vetters, and who they may be."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError

__all__ = ["SHEET", "BoothSettings", "check_name"]

#: Stamps on one picture, at most.
SHEET = 200


@dataclass(frozen=True)
class BoothSettings:
    """How stamps are shown.

    Parameters
    ----------
    order : str
        One of `realbogus.vetting.orders.ORDERS`, where the page chooses no other.
    seed : int
        Of the order by chance and of the blinded repeats.
    repeats : float
        Share of the stamps that each vetter sees twice, in [0, 1].
    page : int
        Stamps on a page.
    show_scores : bool
        Show scores, labels and the other vetters' votes, which are hidden otherwise.
    vetters : tuple of str
        Who may vote; anyone by default.
    facts : tuple of str
        Further columns to show.

    Raises
    ------
    ConfigError
        A value is out of range.

    Examples
    --------
    >>> BoothSettings(page=0)
    Traceback (most recent call last):
        ...
    realbogus.errors.ConfigError: page 0: give 1 to 200 stamps a page
    """

    order: str = "random"
    seed: int = 0
    repeats: float = 0.05
    page: int = 20
    show_scores: bool = False
    vetters: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.page <= SHEET:
            raise ConfigError(f"page {self.page}: give 1 to {SHEET} stamps a page")
        if not 0 <= self.repeats <= 1:
            raise ConfigError(f"repeats {self.repeats:g}: give the share of stamps shown twice, between 0 and 1")
        if self.seed < 0:
            raise ConfigError(f"seed {self.seed}: give 0 or more")
        for name in self.vetters:
            check_name(name)


def check_name(name: str) -> str:
    """Return a vetter's name without blanks around it.

    Raises
    ------
    ConfigError
        It is empty, too long, or holds signs that nobody can read.

    Examples
    --------
    >>> check_name(" Henrietta Swan Leavitt ")
    'Henrietta Swan Leavitt'
    """
    name = name.strip()
    if not 1 <= len(name) <= 60 or not name.isprintable():
        raise ConfigError(f"{name[:60]!r} is no name for a vetter: give 1 to 60 letters, digits and spaces")
    return name
