"""Who holds a run, and whether they still live."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from gmm_dask.errors import FormatError, ResourceError
from gmm_dask.store.files import LOCAL, Files
from gmm_dask.store.heartbeat import LARGEST, read_beat
from gmm_dask.store.manifest import parse_json
from gmm_dask.store.owner import Owner, from_json, is_alive


@dataclass(frozen=True)
class Holder:
    """What is known about who holds a lock.

    Parameters
    ----------
    owner : Owner or None
        None if the lock file cannot be read.
    silent : float
        Seconds since the lock was taken or the holder's heart last beat.
    alive : bool or None
        None where it cannot be told (another host or container).
    """

    owner: Owner | None
    silent: float
    alive: bool | None

    def keeps(self, limit: float) -> bool:
        """Return whether the lock is still held: not by the dead, nor by one silent for long."""
        return self.alive is not False and self.silent <= limit


def holder_of(
    path: Path, now: float | None = None, files: Files = LOCAL, beats: Path | None = None
) -> Holder | None:
    """Return who holds a lock, None if nobody does.

    Parameters
    ----------
    path : Path
        The lock file.
    now : float, optional
        Seconds since the epoch by the clock of the file system; default this machine's.
    files : Files
    beats : Path, optional
        The heartbeat file; default ``heartbeat.json`` beside the lock.
    """
    now = time.time() if now is None else now
    try:
        silent = max(0.0, now - files.modified(path))
        owner = from_json(parse_json(files.read(path, LARGEST), str(path)))
    except FileNotFoundError:
        return None
    except FormatError:
        return Holder(None, silent, None)
    beat = read_beat(beats or path.with_name("heartbeat.json"), now, files)
    if beat is not None and beat.owner.token == owner.token:
        silent = min(silent, beat.age)
    return Holder(owner, silent, is_alive(owner))


def refusal(path: Path, holder: Holder) -> ResourceError:
    """Return the error that another driver has a run, with who and where."""
    who = str(holder.owner) if holder.owner else "a driver that has just started"
    return ResourceError(
        f"another driver has this run: {who}, last heartbeat {holder.silent:.0f} s ago ({path}). "
        "Wait for it, stop it, or choose another run folder"
    )
