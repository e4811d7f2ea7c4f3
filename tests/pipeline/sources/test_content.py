"""Content decides whether a file is the one of before, not the time of its last change."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gmm_dask import DataError
from pipeline.sources import SourceSpec, open_table
from pipeline.sources.content import LEAST, PIECES, WHOLE, identities
from pipeline.sources.files import File, find_files
from pipeline.sources.handles import release

ROWS = np.random.default_rng(3).normal(size=(4000, 3))


def write(path: Path, rows: np.ndarray = ROWS) -> Path:
    """Write rows in the format of the name."""
    table = pa.table({f"x{i}": rows[:, i] for i in range(rows.shape[1])})
    if path.suffix == ".npy":
        np.save(path, rows)
    elif path.suffix == ".csv":
        table.to_pandas().to_csv(path, index=False)
    elif path.suffix == ".h5ad":
        import anndata

        anndata.AnnData(obsm={"X_pca": rows}).write_h5ad(path)
    else:
        pq.write_table(table, path, row_group_size=1000)
    return path


def fingerprint(path: Path, tmp_path: Path) -> str:
    key = "obsm/X_pca" if path.suffix == ".h5ad" else None
    return open_table(SourceSpec(path=(str(path),), key=key), tmp_path / "scratch").fingerprint


def identity(path: Path, others: int = 0) -> tuple[str, int, str]:
    (file,) = find_files([str(path)], {}, ("",), "a file")
    return identities([file] * (1 + others))[0]


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.npy", "a.h5ad"])
def test_touched_copied_and_moved_is_the_same_changed_is_not(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    first = fingerprint(path, tmp_path)
    os.utime(path, ns=(1, 1))
    assert fingerprint(path, tmp_path) == first
    (tmp_path / "again").mkdir()
    shutil.copyfile(path, tmp_path / "again" / name)
    assert fingerprint(tmp_path / "again" / name, tmp_path) == first
    rows = ROWS.copy()
    rows[2000, 1] = np.nextafter(rows[2000, 1], 9)
    release()  # an open HDF5 file cannot be written anew
    write(path, rows)
    assert fingerprint(path, tmp_path) != first


def test_every_byte_of_a_small_file_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    data = bytearray(np.random.default_rng(0).bytes(4096))
    seen = set()
    for place in range(0, 4096, 5):
        data[place] ^= 1
        path.write_bytes(data)
        seen.add(identity(path))
        data[place] ^= 1
    assert len(seen) == len(range(0, 4096, 5))


def test_of_a_large_file_ends_and_pieces_count(tmp_path: Path) -> None:
    path, size = tmp_path / "a.bin", 3 * WHOLE + 17
    piece = WHOLE // PIECES
    with path.open("wb") as file:
        file.truncate(size)
    before = identity(path)
    middle = 31 * (size - piece) // (PIECES - 1)
    for place, counts in [(0, True), (size - 1, True), (middle, True), (piece, False)]:
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"x")
        assert (identity(path) != before) == counts, place
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"\0")
    with path.open("ab") as file:
        file.write(b"\0")
    assert identity(path) != before


@pytest.mark.slow
def test_a_parquet_footer_counts_wherever_the_pieces_fall(tmp_path: Path) -> None:
    """One value more than all others, in one row group of many: its statistics tell."""
    rows = np.zeros((800_000, 1))
    path = tmp_path / "a.parquet"
    options = {"compression": "none", "use_dictionary": False, "row_group_size": 2000}
    pq.write_table(pa.table({"x": rows[:, 0]}), path, **options)
    assert path.stat().st_size > WHOLE
    before = identity(path, others=4000)
    assert identity(path, others=4000) == before
    rows[401_234] = 1.0
    pq.write_table(pa.table({"x": rows[:, 0]}), path, **options)
    assert identity(path, others=4000)[:2] == before[:2]
    assert identity(path, others=4000) != before


def test_of_very_many_files_less_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(WHOLE))
    alone, among = identity(path), identity(path, others=5000)
    assert alone != among
    with path.open("r+b") as file:
        file.seek(LEAST // PIECES)
        file.write(b"x")
    assert identity(path, others=5000) == among
    assert identity(path) != alone


def test_a_remote_file_is_known_by_its_tag() -> None:
    """Nothing is read: there is no such store."""
    first, again, other = (File("s3://b/a.npy", 3, tag) for tag in ("t", "t", "u"))
    assert identities([first]) == identities([again]) != identities([other])


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.npy: no such file"):
        identities([File(str(tmp_path / "gone.npy"), 3, "t")])
