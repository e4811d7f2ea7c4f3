"""What was written: one record per part, and one for the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gmm_dask import ResourceError


@dataclass(frozen=True)
class FileRecord:
    """One file of an output.

    Parameters
    ----------
    name : str
        Relative to the output's folder, with ``/``.
    size : int, bytes
    sha256 : str, hex
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class PartRecord:
    """Rows that a worker wrote; small, so that it travels back to the driver.

    Parameters
    ----------
    start : int
        Absolute row number of the first row.
    n_rows : int
    files : tuple of FileRecord
    nulls : tuple of (str, int)
        Columns with missing values, and how many.
    """

    start: int
    n_rows: int
    files: tuple[FileRecord, ...]
    nulls: tuple[tuple[str, int], ...] = ()

    @property
    def stop(self) -> int:
        """The row after the last."""
        return self.start + self.n_rows


@dataclass(frozen=True)
class OutputRecord:
    """A complete output.

    Parameters
    ----------
    path : str
        Absolute folder.
    format : str
    rows : int
    columns : tuple of str
    files : tuple of FileRecord
    sha256 : str, hex
        What `pipeline.sinks.sha256_of` gives for the folder.
    nulls : tuple of (str, int)
        Columns with missing values, and how many.
    """

    path: str
    format: str
    rows: int
    columns: tuple[str, ...]
    files: tuple[FileRecord, ...]
    sha256: str
    nulls: tuple[tuple[str, int], ...] = field(default=())

    @property
    def as_dict(self) -> dict[str, Any]:
        """The same in JSON's types, for the manifest."""
        values = asdict(self)
        files = {item.name: {"bytes": item.size, "sha256": item.sha256} for item in self.files}
        return {**values, "columns": list(self.columns), "files": files, "nulls": dict(self.nulls)}


def in_order(parts: Sequence[PartRecord], n_rows: int, where: str) -> tuple[PartRecord, ...]:
    """Return the parts by row, if they are all rows once.

    Raises
    ------
    ResourceError
        If rows are missing or were written twice.
    """
    ordered = sorted(parts, key=lambda part: part.start)
    reached = 0
    for part in ordered:
        if part.start != reached:
            raise _gap(reached, part.start, where)
        reached = part.stop
    if reached != n_rows:
        raise _gap(reached, n_rows, where)
    return tuple(ordered)


def _gap(reached: int, found: int, where: str) -> ResourceError:
    if found > reached:
        what = f"rows {reached} to {found - 1} were not written"
    else:
        what = f"rows {found} to {reached - 1} were written twice, or do not belong to it"
    return ResourceError(f"{where}: {what}; nothing was put in place. Run again")


def total_nulls(parts: Sequence[PartRecord]) -> tuple[tuple[str, int], ...]:
    """Return how many values are missing in each column that lacks some."""
    total: dict[str, int] = {}
    for part in parts:
        for name, count in part.nulls:
            total[name] = total.get(name, 0) + count
    return tuple(sorted(total.items()))
