"""An AnnData file killed at every step of a change in place is readable, and can be completed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anndata
import h5py
import pytest

from pipeline.sinks import write_in_place
from pipeline.sinks.disk import LOCAL

from .cells import Labels, load, same_but_for, save
from .crashes import Crash
from .kill_in_place import SECOND, Fuse, attempt, deaths

FIRST = Labels(3, seed=1)
KEYS = ("gmm", "gmm_probability", "X_gmm")
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_h5ad_killed_at_every_step(tmp_path: Path) -> None:
    jobs = []
    for before in ("without", "first"):
        (tmp_path / before).mkdir()
        jobs += [str(_source(tmp_path / f"{before}-source", "h5ad", before)), before]
    command = [sys.executable, "-W", "ignore", "-m", f"{__package__}.kill_in_place"]
    command += [job if Path(job).is_absolute() else str(tmp_path / job) for job in jobs]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0, found.stderr
    for before in ("without", "first"):
        paths = sorted((tmp_path / before).glob("*/*"), key=lambda path: int(path.parent.name))
        assert len(paths) >= 12
        states = [_state(load(path)) for path in paths]
        assert states[0] == before
        assert states[-1] == "second"
        assert set(states) <= {"without", "first", "second"}
        _can_be_completed(paths[::4])


@pytest.mark.parametrize("store", ["zarr2", "zarr3"])
def test_zarr_killed_at_every_step(store: str, tmp_path: Path) -> None:
    source = _source(tmp_path, store, "first")
    dry = Fuse(None, _die)
    LOCAL.copy(source, tmp_path / "dry")
    attempt(tmp_path / "dry", dry)
    paths = []
    # the formats differ in their metadata only: one of them at all steps, the other at some
    steps = deaths(dry.log)
    for at in steps if store == "zarr3" else sorted({*steps[::3], steps[-1]}):
        paths.append(tmp_path / f"{at}.zarr")
        LOCAL.copy(source, paths[-1])
        with pytest.raises(Crash):
            attempt(paths[-1], Fuse(at, _die))
    states = [_state(load(path)) for path in paths]
    assert len(states) > (15 if store == "zarr3" else 5)
    # all is on the disk at once, so the moment without any labels was met as well
    assert list(dict.fromkeys(states)) == ["first", "without", "second"]
    _can_be_completed(paths[::6])


def _die() -> None:
    raise Crash


def _source(folder: Path, store: str, before: str) -> Path:
    folder.mkdir(exist_ok=True)
    source = save(folder, store)
    if before == "first":
        write_in_place(source, FIRST.what(), FIRST.rows())
    return source


def _can_be_completed(paths: list[Path]) -> None:
    for path in paths:
        write_in_place(path, SECOND.what(), SECOND.rows())
        SECOND.check(load(path))
        assert not _leftovers(path)


def _state(found: anndata.AnnData) -> str:
    """Return whose labels the cells have; everything else must be as it was."""
    same_but_for(found, KEYS)
    if "gmm" not in found.obs:
        assert "gmm_probability" not in found.obs
        return "without"
    second = len(found.obs["gmm"].cat.categories) == SECOND.n_components
    (SECOND if second else FIRST).check(found)
    return "second" if second else "first"


def _leftovers(path: Path) -> list[str]:
    if path.is_dir():
        names = [item.name for item in (path / "obs").iterdir()]
    else:
        with h5py.File(path) as file:
            names = list(file["obs"])
    return [name for name in names if name.startswith("__")]
