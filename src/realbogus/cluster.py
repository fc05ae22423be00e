"""A Ray cluster for the length of a task: the one that `RAY_ADDRESS` names, else one of this machine alone."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .errors import ConfigError

__all__ = ["connected"]

_KNOCK_S = 10.0


@contextmanager
def connected(processes: int | None = None) -> Iterator[Any]:
    """Hand out the module `ray`, connected; what was started here is ended here.

    `RAY_ADDRESS` names a cluster; without it Ray is started on this machine. Whoever is connected already stays so.

    Parameters
    ----------
    processes : int, optional
        Processors of a Ray that is started here; all of the machine by default.

    Raises
    ------
    ConfigError
        Ray is not installed, or the cluster does not answer.
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigError('engine "ray" needs Ray: pip install "realbogus[ray]", or use the engine "local"') from error
    started = not ray.is_initialized()
    if started:
        _start(ray, processes)
    try:
        yield ray
    finally:
        if started:
            ray.shutdown()


def _start(ray: Any, processes: int | None) -> None:
    address = os.environ.get("RAY_ADDRESS")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING}
    try:
        if address:
            _knock(address)
            ray.init(address=address, **quiet)
        else:
            # without "local" Ray would join whatever cluster was started on this machine last
            ray.init(address="local", num_cpus=processes, include_dashboard=False, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"Ray at {address or 'this machine'} does not start: {error}") from error


def _knock(address: str) -> None:
    """Raise an OSError where nobody listens: Ray itself tries for minutes."""
    host, mark, port = address.removeprefix("ray://").rpartition(":")
    if mark and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()
