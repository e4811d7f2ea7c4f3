"""Good files of every format with some bytes changed, cut off, or put in."""

from __future__ import annotations

import bz2
import gzip
import io
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from hypothesis import strategies as st

from tests.faults.bad.case import Case, csv_of, npy_of, parquet_of, zarr_of
from tests.faults.bad.values import good_rows

UNREADABLE = (0, 3, 4, 5)


@st.composite
def damaged(draw: Any, raw: bytes) -> bytes:
    """Some bytes changed: one flipped, a run zeroed, the end cut off, some put in or left out."""
    near = st.integers(0, min(199, len(raw) - 1))
    anywhere = st.integers(0, len(raw) - 1)
    at = draw(near | near.map(lambda i: len(raw) - 1 - i) | anywhere)
    how = draw(st.sampled_from(["flip", "flip", "flip", "zero", "cut", "more", "less"]))
    length = draw(st.integers(1, 40))
    if how == "flip":
        return raw[:at] + bytes([raw[at] ^ draw(st.integers(1, 255))]) + raw[at + 1 :]
    if how == "zero":
        return raw[:at] + b"\0" * min(length, len(raw) - at) + raw[at + length :]
    if how == "cut":
        return raw[:at]
    if how == "more":
        return raw[:at] + draw(st.binary(min_size=1, max_size=40)) + raw[at:]
    return raw[:at] + raw[at + length :]


def files_below(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files of a folder, by their path below its parent."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder.parent)): path.read_bytes() for path in found}


@cache
def stored_zarr(version: int) -> dict[str, bytes]:
    """Return a zarr store as its library writes it, compressed."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "rows.zarr"
        rows = good_rows(40, 2, 0)
        zarr.create_array(path, data=rows, chunks=(17, 2), zarr_format=version)  # type: ignore[arg-type]
        return files_below(path)


@cache
def stored_anndata(suffix: str) -> dict[str, bytes]:
    """Return an AnnData file or store."""
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import anndata
        import pandas as pd

        path = Path(name) / f"cells{suffix}"
        obs = pd.DataFrame({"kind": pd.Categorical(list("ab") * 20)}, index=[*map(str, range(40))])
        cells = anndata.AnnData(good_rows(40, 2, 0), obs, obsm={"X_pca": good_rows(40, 3, 1)})
        cells.write_h5ad(path) if suffix == ".h5ad" else cells.write_zarr(path)
        return files_below(path) if path.is_dir() else {path.name: path.read_bytes()}


def packed_csv(pack: Callable[[bytes], bytes], ending: str) -> dict[str, bytes]:
    """Return a compressed text table."""
    (raw,) = csv_of(good_rows(40, 2, 0)).values()
    return {f"rows.csv{ending}": pack(raw)}


@cache
def npz() -> dict[str, bytes]:
    """Return an npy file in Fortran order, as one more layout of npy."""
    stream = io.BytesIO()
    np.save(stream, np.asfortranarray(good_rows(40, 2, 0)))
    return {"rows.npy": stream.getvalue()}


MADE: dict[str, Callable[[], dict[str, bytes]]] = {
    "parquet": lambda: parquet_of(good_rows(40, 2, 0)),
    "csv": lambda: csv_of(good_rows(40, 2, 0)),
    "csv.gz": lambda: packed_csv(lambda raw: gzip.compress(raw, mtime=0), ".gz"),
    "csv.bz2": lambda: packed_csv(bz2.compress, ".bz2"),
    "npy": lambda: npy_of(good_rows(40, 2, 0)),
    "npy by column": npz,
    "plain zarr": lambda: zarr_of(good_rows(40, 2, 0)),
    "zarr 2": lambda: stored_zarr(2),
    "zarr 3": lambda: stored_zarr(3),
    "h5ad": lambda: stored_anndata(".h5ad"),
    "anndata zarr": lambda: stored_anndata(".zarr"),
}


@st.composite
def damages(draw: Any, kind: str) -> Case:
    """A good source in which one file was damaged."""
    files = dict(MADE[kind]())
    hit = draw(st.sampled_from(sorted(files)))
    before = files[hit]
    files[hit] = draw(damaged(before)) if before else b"x"
    top = hit.partition("/")[0]
    key = "X" if top.startswith("cells") else None
    what = f"{kind}: {hit} damaged, {len(before)} to {len(files[hit])} bytes"
    # one component: where the damage does not show, the fit is a pass
    model = {"n_components": 1}
    return Case(what, files, {"path": top, "key": key}, model, UNREADABLE)


STRATEGIES = {kind: damages(kind) for kind in MADE}
"""All of these, for the tests."""
