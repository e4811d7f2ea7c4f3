"""Checkpoints that survive a kill at any moment, a power cut and a flipped bit.

Layout: ``data/<pass>-<uuid>/`` is a zarr v3 group, ``commits/<pass, 10 digits>.json`` its marker.
A checkpoint exists from the moment its marker appears, which is one atomic step after everything
else is on the disk. Reading takes the newest marker whose every file has the size and SHA-256 that
the marker tells.
"""

from __future__ import annotations

import contextlib
import uuid
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gmm_dask.errors import CheckpointError, FormatError, GmmDaskError, StoreError
from gmm_dask.store.codec import Codec
from gmm_dask.store.commits import Commits
from gmm_dask.store.files import LOCAL, Files, delete_tree, explain, make_folders
from gmm_dask.store.group import from_files
from gmm_dask.store.marker import (
    FORMAT,
    LAST_PASS,
    VERSION,
    Marker,
    NewerFormatError,
    differences,
    parse,
    plain,
)
from gmm_dask.store.retention import prune, sweep
from gmm_dask.store.trees import get_files, write_tree

MAKE_ROOM = "Earlier checkpoints are untouched."


@dataclass(frozen=True)
class Saved:
    """A checkpoint that is on the disk.

    Parameters
    ----------
    name : str
        Its folder under ``data/``.
    sha256 : str
        Digest of the contents: equal for equal states.
    bytes : int
    """

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Loaded:
    """A checkpoint as it was read.

    Parameters
    ----------
    value : tree
    pass_number : int
    sha256 : str
    written : datetime
        In UTC.
    rests_on : tuple of dict
        On what it was computed, one after the other, what this driver rests on left out.
    """

    value: Any
    pass_number: int
    sha256: str
    written: datetime
    rests_on: tuple[dict[str, str], ...] = ()


class Checkpoints:
    """The checkpoints of one run in one folder.

    Parameters
    ----------
    path : str or Path
        Folder of the run's checkpoints; made by the first `save`.
    identity : mapping
        Flat JSON of what decides the model (configuration, data fingerprint, plan, versions). A
        checkpoint of another identity is refused.
    codec : Codec
    keep : int
        Number of newest checkpoints that are kept.
    rests_on : mapping, optional
        On what this driver's states are computed: name -> word. It is kept with each checkpoint,
        after that of the drivers from which this one goes on; unlike `identity` it may differ.
    files : Files
        Where tests make the file system fail.
    """

    def __init__(
        self,
        path: str | Path,
        identity: Mapping[str, Any],
        codec: Codec,
        keep: int = 3,
        rests_on: Mapping[str, str] | None = None,
        *,
        files: Files = LOCAL,
    ) -> None:
        if keep < 1:
            raise ValueError(f"keep is {keep}; at least one checkpoint must be kept")
        self.path = Path(path)
        self.identity = plain(identity)
        self.keep = keep
        self._rests_on = (dict(rests_on),) if rests_on else ()
        self._codec = codec
        self._files = files
        self._commits = Commits(self.path / "commits", files, codec.limits)

    def save(self, value: Any, pass_number: int) -> Saved:
        """Write a checkpoint; it is on the disk, verified, when this returns.

        Parameters
        ----------
        value : tree
            Everything needed to go on.
        pass_number : int
            Passes over the data so far. Checkpoints of later passes, which can only be damaged or
            left by an attempt that was given up, are removed.

        Raises
        ------
        CheckpointError
            If another driver wrote into the folder meanwhile.
        StoreError
            If the file system refuses (disk full, no permission); earlier checkpoints stay.
        """
        if not 0 <= pass_number <= LAST_PASS:
            raise ValueError(f"pass_number is {pass_number}; needed: 0 to {LAST_PASS}")
        self._commits.refuse_strangers()
        name = f"{pass_number:010d}-{uuid.uuid4().hex}"
        marker = None
        try:
            marker = self._write_data(name, value, pass_number)
            self._commits.publish(marker)
        except (OSError, GmmDaskError) as error:
            # An error after the marker appeared (its folder did not sync) leaves a whole checkpoint
            if marker is None or not self._commits.holds(marker):
                self._discard(name)
            raise self._failure(error, pass_number) from error
        self._tidy(marker)
        return Saved(name, marker.sha256, marker.bytes)

    def latest(self) -> Loaded | None:
        """Return the newest valid checkpoint, None if there is none at all.

        Warns
        -----
        RuntimeWarning
            If a newer one is damaged.

        Raises
        ------
        CheckpointError
            If checkpoints exist but none is valid, or the newest valid one belongs to another
            configuration or data set: every key that differs is listed.
        FormatError
            If it was written by a newer version.
        """
        damaged: list[str] = []
        for name, raw in self._commits.look().items():
            try:
                marker = parse(raw or b"", name, self._codec.limits)
                contents = get_files(self.path / "data" / marker.data, marker.manifest, self._files)
            except NewerFormatError:
                raise
            except (FormatError, StoreError) as error:
                damaged.append(f"{name}: {error}")
                continue
            return self._accept(marker, contents, damaged)
        if damaged:
            raise CheckpointError(
                f"no checkpoint in {self.path} is valid: {'; '.join(damaged)}. "
                "Restore the folder from a copy, or start over in another one"
            )
        return None

    def _accept(self, marker: Marker, contents: dict[str, bytes], damaged: list[str]) -> Loaded:
        if differ := differences(marker.identity, self.identity):
            raise CheckpointError(
                f"the checkpoint of pass {marker.pass_number} in {self.path} belongs to another "
                f"run: {'; '.join(differ)}. Undo these changes, or start over in another folder"
            )
        value, _ = from_files(contents, self._codec)
        if damaged:
            warnings.warn(
                f"damaged checkpoints passed over, going on from pass {marker.pass_number}: "
                f"{'; '.join(damaged)}",
                RuntimeWarning,
                stacklevel=3,
            )
        before = tuple(facts for facts in marker.rests_on if facts not in self._rests_on)
        self._rests_on = (*before, *self._rests_on)
        return Loaded(value, marker.pass_number, marker.sha256, marker.written, before)

    def _write_data(self, name: str, value: Any, pass_number: int) -> Marker:
        """Write the data, read them back, and return the marker that may now be published."""
        for folder in ("data", "commits"):
            make_folders(self._files, self.path / folder)
        target, codec, files = self.path / "data" / name, self._codec, self._files
        attributes = {"format": FORMAT, "version": VERSION, "pass": pass_number}
        manifest = write_tree(target, value, codec, attributes, packed=True, files=files)
        get_files(target, manifest, files)
        now = datetime.now(UTC)
        return Marker(pass_number, name, now, self.identity, manifest, self._rests_on)

    def _failure(self, error: Exception, pass_number: int) -> Exception:
        """Return what the user is told: which checkpoint failed, why, and what is left."""
        doing = f"checkpoint of pass {pass_number} was not written to {self.path}"
        if isinstance(error, OSError):
            return explain(error, doing, MAKE_ROOM)
        if type(error) is StoreError:
            return StoreError(f"{doing}: {error} {MAKE_ROOM}")
        return error

    def _discard(self, name: str) -> None:
        """Make room after a failure: what was written of this checkpoint is of no use."""
        with contextlib.suppress(OSError):
            delete_tree(self._files, self.path / "data" / name)

    def _tidy(self, newest: Marker) -> None:
        """Delete what is no longer needed; a failure is told, and does not undo the checkpoint."""
        try:
            prune(self.path, newest, self.keep, self._files)
            sweep(self.path, newest, self._files)
        except OSError as error:
            warnings.warn(
                f"old checkpoints in {self.path} could not be deleted and take up space: {error}",
                RuntimeWarning,
                stacklevel=3,
            )
