from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pipeline.sinks import write_copy, write_in_place
from pipeline.sinks.disk import LOCAL

from .cells import Labels, load

pytestmark = pytest.mark.data
# thymus has no column in obs; pbmc68k has categories, raw counts, graphs and nested uns
CELLS = {"pbmc68k_reduced": 700, "thymus": 25_000}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("in_place", [False, True])
def test_real_files_keep_every_value(
    name: str, in_place: bool, shared_data: Path, tmp_path: Path
) -> None:
    source = shared_data / "single_cell" / f"{name}.h5ad"
    labels = Labels(12, seed=3, n_cells=CELLS[name])
    if in_place:
        path = tmp_path / source.name
        LOCAL.copy(source, path)
        write_in_place(path, labels.what(), labels.rows(step=301))
    else:
        path = Path(write_copy(source, tmp_path, labels.what(), labels.rows(step=301)).path)
        assert path.name == f"{name}_gmm.h5ad"
    labels.check(load(path))
    with h5py.File(source) as before, h5py.File(path) as after:
        items: list[str] = []
        before.visit(items.append)
        for key in items:
            _same(key, before[key], after[key])
        new: list[str] = []
        after.visit(new.append)
        added = {key.split("/")[1] for key in set(new) - set(items)}
        assert added == {"gmm", "gmm_probability", "X_gmm"}


def _same(key: str, before: Any, after: Any) -> None:
    """Fail unless two items hold the same values and attributes; the list of columns grew."""
    attributes = dict(before.attrs)
    if key == "obs":
        order = [*attributes.pop("column-order"), "gmm", "gmm_probability"]
        assert list(after.attrs["column-order"]) == order
    for name, value in attributes.items():
        np.testing.assert_array_equal(after.attrs[name], value)
    if isinstance(before, h5py.Dataset):
        assert (before.dtype, before.shape, before.chunks) == (
            after.dtype,
            after.shape,
            after.chunks,
        )
        one, other = (np.asarray(item[()]) for item in (before, after))
        # compound values hold padding and texts: compared as values, all others bit by bit
        same = (
            one.tolist() == other.tolist()
            if one.dtype.hasobject
            else one.tobytes() == other.tobytes()
        )
        assert same, key
