"""Which process holds a run, told so that another process can find out whether it still lives."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from gmm_dask.errors import FormatError

# Start times come in ticks of 10 ms; a process id is not used again within a second.
SAME_START = 1.0


@dataclass(frozen=True)
class Owner:
    """One process that holds a run.

    Parameters
    ----------
    host : str
    pid : int
    started : float
        Seconds from the start of the machine to that of the process: unlike a date it does not
        move when the clock is set.
    namespace : str
        Process ids have a meaning in one namespace (container) only; empty where there are none.
    token : str
        Differs for every lock that is taken, also by one process.
    """

    host: str
    pid: int
    started: float
    namespace: str
    token: str

    def __str__(self) -> str:
        return f"host {self.host}, pid {self.pid}"


def this_process() -> Owner:
    """Return an owner with a fresh token for the process that asks."""
    pid = os.getpid()
    return Owner(socket.gethostname(), pid, _started(pid) or 0.0, _namespace(), uuid.uuid4().hex)


def is_alive(owner: Owner) -> bool | None:
    """Return whether the owner's process lives; None if that cannot be told from here."""
    if owner.host != socket.gethostname() or owner.namespace != _namespace():
        return None
    try:
        started = _started(owner.pid)
    except psutil.AccessDenied:
        return None
    return started is not None and abs(started - owner.started) < SAME_START


def to_json(owner: Owner) -> dict[str, Any]:
    """Return the owner as plain JSON."""
    return asdict(owner)


def from_json(content: Any) -> Owner:
    """Return the owner of a parsed file.

    Raises
    ------
    FormatError
        If the file does not tell one.
    """
    match content:
        case {"host": str(), "pid": int(), "started": int() | float(), "namespace": str(), **rest}:
            if isinstance(rest.get("token"), str):
                names: Mapping[str, Any] = {key: content[key] for key in Owner.__annotations__}
                return Owner(**names)
    raise FormatError("the file does not name the process that wrote it")


def _started(pid: int) -> float | None:
    """Return seconds from the start of the machine to that of a process; None if it is gone."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        # boot_time first: psutil adds the value it returned last to the process's ticks
        booted = psutil.boot_time()
        return float(round(process.create_time() - booted, 2))
    except psutil.NoSuchProcess:
        return None


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
