"""The change of an AnnData file: everything written aside first, then a few renames."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from gmm_dask import ConfigError, DataError
from pipeline.sinks.anndata_box import CATEGORICAL, DICT, STRINGS, Box, decoded, put_value
from pipeline.sinks.anndata_rows import IntArray, windows
from pipeline.sinks.anndata_what import WriteBack
from pipeline.sinks.anndata_zarr import ZarrBox
from pipeline.sinks.disk import Disk

STAGE = "__gmm_dask_"
"""Begins the key under which everything is written first: inside ``obs``, of which readers take
the columns that are listed and nothing else."""

Rows = Iterable[tuple[IntArray, pa.Table]]
Moves = Sequence[tuple[str, str]]


@contextmanager
def opened(path: Path, disk: Disk) -> Iterator[Box]:
    """Open an h5ad file or a zarr folder for changes.

    Raises
    ------
    DataError
        If it is neither, or not AnnData.
    ResourceError
        If it cannot be written.
    """
    box: Box = ZarrBox(path, disk) if path.is_dir() else _h5(path)
    try:
        if not box.is_group("obs") or "_index" not in box.attributes("obs"):
            old = " (it is of a version before 0.7: open and write it once)" * box.has("obs")
            raise DataError(
                f"output.write_back: {path} has no table of cells as anndata writes it{old}; "
                "leave write_back out and join the assignments by source.id"
            )
        yield box
    finally:
        box.close()


def _h5(path: Path) -> Box:
    try:
        from pipeline.sinks.anndata_h5 import H5Box
    except ImportError as error:
        raise ConfigError(
            "output.write_back: h5py is needed to write into an h5ad file; "
            "install gmm-dask[anndata]"
        ) from error
    return H5Box(path)


def change(box: Box, what: WriteBack, rows: Rows) -> int:
    """Write into an AnnData file, and return its number of cells.

    Parameters
    ----------
    box : Box
    what : WriteBack
    rows : iterable of (positions, pyarrow.Table)

    Raises
    ------
    DataError
        If a name is that of the cells' index, or rows do not fit the file.
    """
    index = decoded(box.attributes("obs")["_index"])
    if index in what.obs_columns:
        raise DataError(
            f"output.write_back.obs: {index} is the name of the cells' index; choose another"
        )
    n_obs = _n_obs(box, f"obs/{index}")
    for name in box.keys("obs"):
        if name.startswith(STAGE):  # of a killed run
            box.delete(f"obs/{name}")
    stage = f"obs/{STAGE}{uuid.uuid4().hex}"
    box.make_group(stage, None)
    try:
        moves = [*_stage_rows(box, stage, what, rows, n_obs), *_stage_parameters(box, stage, what)]
    except Exception:
        box.delete(stage)
        raise
    box.settle(stage)
    _put_in_place(box, stage, moves, what.obs_columns)
    box.finish()
    return n_obs


def _n_obs(box: Box, index: str) -> int:
    inner = next((part for part in ("values", "codes") if box.has(f"{index}/{part}")), "")
    return box.length(f"{index}/{inner}" if inner else index)


def _stage_rows(box: Box, stage: str, what: WriteBack, rows: Rows, n_obs: int) -> Moves:
    wanted = what.wanted
    keys = {"label": f"{stage}/label/codes", "probability": f"{stage}/probability"}
    keys["resp"] = f"{stage}/resp"
    if wanted.label:
        _stage_categorical(box, f"{stage}/label", what.n_components)
    for name, blank in wanted.blank(0).items():
        box.make_rows(keys[name], (n_obs, *blank.shape[1:]), blank.dtype)
    for lo, columns in windows(rows, n_obs, wanted):
        for name, values in columns.items():
            box.write_rows(keys[name], lo, values)
    moves = []
    if wanted.label:
        of_label, of_probability = what.obs_columns
        moves = [(f"{stage}/label", f"obs/{of_label}")]
        moves += [(keys["probability"], f"obs/{of_probability}")]
    return moves + ([(keys["resp"], f"obsm/{what.obsm}")] if wanted.responsibilities else [])


def _stage_categorical(box: Box, key: str, n_components: int) -> None:
    box.make_group(key, CATEGORICAL)
    box.set_attribute(key, "ordered", False)
    box.put(f"{key}/categories", [str(k) for k in range(n_components)], STRINGS)


def _stage_parameters(box: Box, stage: str, what: WriteBack) -> Moves:
    put_value(box, f"{stage}/parameters", dict(what.parameters))
    return [(f"{stage}/parameters", f"uns/{what.name}")]


def _put_in_place(box: Box, stage: str, moves: Moves, columns: Sequence[str]) -> None:
    """Rename what was written aside; at every moment the columns listed are there."""
    order = [decoded(name) for name in box.attributes("obs")["column-order"]]
    if any(box.has(key) for _, key in moves):
        box.begin_replacing()
        box.set_attribute("obs", "column-order", [n for n in order if n not in columns])
    for number, (staged, key) in enumerate(moves):
        group = key.partition("/")[0]
        if not box.has(group):
            box.make_group(group, DICT)
        if box.has(key):
            box.move(key, f"{stage}/old-{number}")
        box.move(staged, key)
    new = [name for name in columns if name not in order]
    box.set_attribute("obs", "column-order", order + new)
    box.delete(stage)
