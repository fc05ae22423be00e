"""Connecting to a cluster: what cannot be is said at once."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from realbogus.cluster import connected
from realbogus.errors import ConfigError


class Fake:
    """What is used of Ray."""

    def __init__(self, there: bool = False, error: Exception | None = None) -> None:
        self.there, self.error, self.calls = there, error, list[Any]()

    def is_initialized(self) -> bool:
        return self.there

    def init(self, **options: Any) -> None:
        self.calls.append({key: options[key] for key in ("address", "num_cpus") if key in options})
        if self.error is not None:
            raise self.error

    def shutdown(self) -> None:
        self.calls.append("shut")


def using(monkeypatch: pytest.MonkeyPatch, fake: Any, address: str | None = None) -> None:
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if address is not None:
        monkeypatch.setenv("RAY_ADDRESS", address)


def test_what_is_started_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake()
    using(monkeypatch, fake)
    with connected(3) as ray:
        assert ray is fake
    assert fake.calls == [{"address": "local", "num_cpus": 3}, "shut"]


def test_who_is_connected_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(there=True)
    using(monkeypatch, fake)
    with connected():
        pass
    assert fake.calls == []


def test_the_address_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake()
    using(monkeypatch, fake, "auto")
    with connected(3):
        pass
    assert fake.calls == [{"address": "auto"}, "shut"]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://localhost:1"])
def test_nobody_at_the_address_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    fake = Fake()
    using(monkeypatch, fake, address)
    with pytest.raises(ConfigError, match=f"Ray at {address} does not start"), connected():
        pass
    assert fake.calls == []


def test_what_ray_says_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    using(monkeypatch, Fake(error=RuntimeError("version mismatch")))
    with pytest.raises(ConfigError, match="version mismatch"), connected():
        pass


def test_without_ray_there_is_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    using(monkeypatch, None)
    with pytest.raises(ConfigError, match=r"realbogus\[ray\]"), connected():
        pass
