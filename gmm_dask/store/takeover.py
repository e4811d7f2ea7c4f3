"""Taking a lock from the dead, so that of several drivers who find it one gets it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from gmm_dask.store.files import Files, aside
from gmm_dask.store.holder import Holder, holder_of, refusal


def evict(path: Path, dead: Holder, claim: Path, limit: float, files: Files) -> bool:
    """Take a dead holder's lock file away; return whether it is gone.

    A late driver, which saw the dead holder before a quick one replaced it, would take the quick
    one's lock away. So who evicts publishes a claim under the dead one's token and then looks
    again: while the claim stands nobody else takes that lock away, and if it is another's by now,
    it is left alone. The claim is deleted afterwards.

    Parameters
    ----------
    path : Path
        The lock file.
    dead : Holder
    claim : Path
        A file that tells who evicts.
    limit : float
        Seconds after which a claim counts as that of a driver that died meanwhile.
    files : Files

    Raises
    ------
    ResourceError
        If another driver has got the lock in between.
    """
    token = dead.owner.token if dead.owner else "unreadable"
    taken = aside(path, f"{token}.evicted")
    try:
        files.publish(claim, taken)
    except FileExistsError:
        claimant = holder_of(taken, files.modified(claim), files)
        if claimant is None or claimant.keeps(limit):
            return False
        with contextlib.suppress(FileNotFoundError):
            files.delete(taken)
        return False
    try:
        found = holder_of(path, files=files)
        if found is not None and found.owner != dead.owner:
            return False
        return found is None or _bury(path, dead, files)
    finally:
        with contextlib.suppress(OSError):
            files.delete(taken)


def _bury(path: Path, dead: Holder, files: Files) -> bool:
    grave = aside(path)
    try:
        files.replace(path, grave)
    except FileNotFoundError:
        return True
    found = holder_of(grave, files=files, beats=path.with_name("heartbeat.json"))
    if found is not None and found.owner != dead.owner:
        # The dead one's file was gone, and this is a new one: put it back
        with contextlib.suppress(FileExistsError):
            files.publish(grave, path)
        files.delete(grave)
        raise refusal(path, found)
    files.delete(grave)
    return True
