"""The folder of markers, and the rule that only one driver writes into it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from gmm_dask.errors import CheckpointError
from gmm_dask.store.files import Files, create_durable, explain, replace_durable
from gmm_dask.store.layout import Limits
from gmm_dask.store.marker import Marker, raw_markers, render


class Commits:
    """Markers of one run, and which of them this driver found at its first look or wrote itself.

    Parameters
    ----------
    path : Path
        The folder.
    files : Files
    limits : Limits
    """

    def __init__(self, path: Path, files: Files, limits: Limits) -> None:
        self.path = path
        self._files = files
        self._limits = limits
        self._known: dict[str, str] | None = None

    def look(self) -> dict[str, bytes | None]:
        """Return the contents of all markers, newest first; None where one is unreadable.

        Raises
        ------
        StoreError
            If the folder cannot be listed.
        """
        try:
            found = raw_markers(self.path, self._files, self._limits)
        except OSError as error:
            advice = "Check that the folder is there and readable."
            raise explain(error, f"cannot list checkpoints in {self.path}", advice) from error
        if self._known is None:
            self._known = {name: _digest(raw) for name, raw in found.items()}
        return found

    def refuse_strangers(self) -> None:
        """Raise CheckpointError if a marker is there that this driver neither found nor wrote."""
        found = self.look()
        for name, raw in found.items():
            if not self._knows(name, raw):
                raise self._stranger(name)

    def publish(self, marker: Marker) -> None:
        """Make the marker appear; over one of its name only if that is known to be superseded.

        Raises
        ------
        CheckpointError
            If another driver took the name.
        OSError
            If the file system refuses; ask `holds` whether the marker appeared all the same.
        """
        path, content, known = self.path / marker.name, render(marker), self._known or {}
        if marker.name in known:
            replace_durable(self._files, path, content)
        else:
            try:
                create_durable(self._files, path, content)
            except FileExistsError:
                raise self._stranger(marker.name) from None
        self._remember({marker.name: content})

    def holds(self, marker: Marker) -> bool:
        """Return whether the marker is there, and remember it as one's own if it is."""
        content = render(marker)
        held = self.look().get(marker.name) == content
        if held:
            self._remember({marker.name: content})
        return held

    def _remember(self, contents: Mapping[str, bytes]) -> None:
        self._known = {**(self._known or {}), **{k: _digest(v) for k, v in contents.items()}}

    def _knows(self, name: str, raw: bytes | None) -> bool:
        """Return whether a marker is known; one that cannot be read now counts by its name."""
        known = self._known or {}
        return name in known and (raw is None or known[name] == _digest(raw))

    def _stranger(self, name: str) -> CheckpointError:
        return CheckpointError(
            f"another driver wrote {name} into {self.path} while this one ran. "
            "Stop one of them, or give each a folder of its own"
        )


def _digest(raw: bytes | None) -> str:
    return "unreadable" if raw is None else hashlib.sha256(raw).hexdigest()
