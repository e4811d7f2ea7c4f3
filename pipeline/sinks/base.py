"""`Sink`: rows written aside in parts by many workers, then put in place in one step."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from gmm_dask import ResourceError
from pipeline.sinks.digests import combined, files_below, sha256_all
from pipeline.sinks.disk import (
    LOCAL,
    Disk,
    discard,
    explain,
    make_folders,
    write_atomic,
)
from pipeline.sinks.install import install
from pipeline.sinks.layout import Layout, conform
from pipeline.sinks.records import FileRecord, OutputRecord, PartRecord, in_order, total_nulls

ROWS = "rows"
SPARE = "spare"
ADVICE = "Check space and permissions (every worker must see this folder), then run again"


class Format(Protocol):
    """A file format of row outputs: pure functions, and one step before the end.

    A frozen value without state: it pickles, and workers use it as the driver does.
    """

    @property
    def name(self) -> str:
        """The word for it in ``output.format``."""
        ...

    def check(self, layout: Layout) -> None:
        """Raise DataError if a column cannot be written in this format."""
        ...

    def head(self, layout: Layout) -> Mapping[str, bytes]:
        """Return the files that are written once, before any part."""
        ...

    def folders(self, layout: Layout) -> Sequence[str]:
        """Return the folders, besides the main one, into which parts go."""
        ...

    def part(self, layout: Layout, index: int, table: pa.Table) -> Mapping[str, bytes]:
        """Return the files of one part; equal rows give equal bytes."""
        ...

    def finish(self, disk: Disk, folder: Path, layout: Layout, parts: Sequence[PartRecord]) -> None:
        """Turn the verified parts in `folder` into what users find."""
        ...

    def recognises(self, folder: Path) -> bool:
        """Return whether a folder is an output of this format, which may be replaced."""
        ...

    def read(self, folder: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows of a complete output in order, in pieces that fit into memory."""
        ...


@dataclass(frozen=True)
class Sink:
    """An output on its way; pickles, so that workers write their parts themselves.

    Made by `pipeline.sinks.open_sink`. The draft lies in a hidden folder beside `path`, which every
    worker must see: ``rows`` holds whole files only, ``spare`` those that are being written. A
    worker that wakes up after the end finds no draft and can change nothing.

    Parameters
    ----------
    format : Format
    path : Path
        Where the output will be.
    draft : Path
    layout : Layout
    disk : Disk
    """

    format: Format
    path: Path
    draft: Path
    layout: Layout
    disk: Disk = LOCAL

    def write_part(self, start: int, table: pa.Table) -> PartRecord:
        """Write the rows of one part; may be called again, on any worker, with the same rows.

        Parameters
        ----------
        start : int
            Absolute row number of the first row, a multiple of ``layout.part_rows``.
        table : pyarrow.Table
            Columns as in ``layout.schema``.

        Raises
        ------
        DataError
            If rows or columns are not those of the layout.
        ResourceError
            If a file cannot be written.
        """
        index = self.layout.index(start, table.num_rows)
        rows = conform(table, self.layout, start)
        files = self.format.part(self.layout, index, rows)
        with self._explained(f"rows {start} to {start + table.num_rows - 1}"):
            written = tuple(self._put(name, files[name]) for name in sorted(files))
        counts = [(name, rows.column(name).null_count) for name in rows.column_names]
        nulls = tuple((name, count) for name, count in counts if count)
        return PartRecord(start, table.num_rows, written, nulls)

    def commit(self, parts: Sequence[PartRecord]) -> OutputRecord:
        """Check every part, finish the draft and rename it to ``path``.

        Parameters
        ----------
        parts : sequence of PartRecord
            One for each part, in any order.

        Raises
        ------
        ResourceError
            If rows are missing, a file is gone or changed since it was written, or the folder
            cannot be renamed. What was at ``path`` before is still there.
        """
        ordered = in_order(parts, self.layout.n_rows, str(self.path))
        with self._explained("the output"):
            self._verify(ordered)
            self.format.finish(self.disk, self.draft / ROWS, self.layout, ordered)
            files = self._inventory(ordered)
            self._sync()
            install(self.disk, self.draft / ROWS, self.path)
        discard(self.disk, self.draft)
        return OutputRecord(
            path=str(self.path),
            format=self.format.name,
            rows=self.layout.n_rows,
            columns=tuple(self.layout.schema.names),
            files=files,
            sha256=combined({item.name: item.sha256 for item in files}),
            nulls=total_nulls(ordered),
        )

    def abort(self) -> None:
        """Delete the draft; what is at ``path`` stays."""
        discard(self.disk, self.draft)

    def start(self) -> Sink:
        """Make the draft's folders and the files that come before any part; return the sink."""
        with self._explained("the draft"):
            make_folders(self.disk, self.draft.parent)
            for folder in (self.draft, self.draft / SPARE, self.draft / ROWS):
                self.disk.make_folder(folder)
            for name in self.format.folders(self.layout):
                make_folders(self.disk, self.draft / ROWS / name)
            for name, data in self.format.head(self.layout).items():
                self._put(name, data)
        return self

    def _put(self, name: str, data: bytes) -> FileRecord:
        spare = self.draft / SPARE / uuid.uuid4().hex
        write_atomic(self.disk, self.draft / ROWS / name, data, spare)
        return FileRecord(name, len(data), hashlib.sha256(data).hexdigest())

    def _verify(self, parts: Sequence[PartRecord]) -> None:
        """Raise ResourceError unless the draft holds exactly what was written."""
        folder = self.draft / ROWS
        heads = set(self.format.head(self.layout))
        written = {item.name: item.sha256 for part in parts for item in part.files}
        found = set(files_below(folder)) - heads
        if strange := sorted(found ^ set(written)):
            state = "is gone" if strange[0] in written else "was not written by this run"
            raise ResourceError(f"{folder / strange[0]} {state}; nothing was put in place")
        digests = zip(written, sha256_all(folder, written), strict=True)
        for name, digest in digests:
            if digest != written[name]:
                raise ResourceError(
                    f"{folder / name} changed after it was written (sha256 {digest[:12]}, "
                    f"{written[name][:12]} was written): the storage is faulty, or another "
                    "program wrote there. Nothing was put in place; run again"
                )

    def _inventory(self, parts: Sequence[PartRecord]) -> tuple[FileRecord, ...]:
        """Return the record of every file of the finished draft."""
        folder = self.draft / ROWS
        known = {item.name: item for part in parts for item in part.files}
        names = files_below(folder)
        new = [name for name in names if name not in known]
        for name, digest in zip(new, sha256_all(folder, new), strict=True):
            known[name] = FileRecord(name, (folder / name).stat().st_size, digest)
        return tuple(known[name] for name in names)

    def _sync(self) -> None:
        """Wait until all names of the draft are on the disk."""
        folder = self.draft / ROWS
        for path in sorted(item for item in folder.rglob("*") if item.is_dir()):
            self.disk.sync_folder(path)
        self.disk.sync_folder(folder)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            gone = f"{self.path}: {what} cannot be written, as {self.draft.name} is not there"
            advice = "Either this machine does not see the folder, or the run has ended"
            raise ResourceError(f"{gone}. {advice}") from error
        except OSError as error:
            raise explain(error, f"{self.path}: {what} cannot be written", ADVICE) from error
