"""A workflow engine that kills, retries and deletes outputs: Snakemake itself."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.end_to_end.program import PROGRAM, Place, Started
from tests.faults.harness import Faults, eventually

pytestmark = pytest.mark.cluster

EXAMPLE = Path(__file__).resolve().parents[3] / "configs" / "Snakefile"
NAMED = '"runs/fit/run.json", directory("runs/fit/model.zarr")'


@pytest.fixture(scope="module")
def snakemake() -> str:
    """The program, which is no dependency of the package."""
    found = os.environ.get("GMM_DASK_SNAKEMAKE") or shutil.which("snakemake")
    if not found:
        pytest.skip("no snakemake on the PATH or in GMM_DASK_SNAKEMAKE")
    return found


@pytest.fixture
def workflow(tmp_path: Path, place: Place, cluster: dict[str, Any]) -> Place:
    """A folder with the example's Snakefile, and ``fit.yaml`` for the rows of the other tests."""
    shutil.copy(EXAMPLE, tmp_path)
    (tmp_path / "rows.npy").symlink_to(place.path / "rows.npy")
    here = Place(tmp_path)
    here.config("fit", cluster=cluster)
    return here


def started(snakemake: str, place: Place, *words: str) -> Started:
    """Start Snakemake where it finds the program."""
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    return Started((snakemake, "-c2", *words), place.path, {"PATH": path})


def drivers(run: Started) -> list[psutil.Process]:
    """Return the processes of the program under Snakemake."""
    children = psutil.Process(run.process.pid).children(recursive=True)
    return [child for child in children if _is_program(child)]


def _is_program(process: psutil.Process) -> bool:
    return any(Path(word).name == PROGRAM.name for word in process.cmdline()[:2])


@pytest.mark.deadline(150)
@pytest.mark.parametrize("deleted", ["the outputs", "the whole folder of the run"])
def test_a_job_killed_and_retried_then_all_killed_and_started_again(
    snakemake: str, workflow: Place, undisturbed: tuple[str, str], deleted: str, faults: Faults
) -> None:
    file = workflow.path / EXAMPLE.name
    if deleted != "the outputs":
        file.write_text(file.read_text().replace(NAMED, 'directory("runs/fit")'))
        file.write_text(file.read_text().replace('input: "runs/fit/run.json"', 'input: "runs/fit"'))
    commits = workflow.path / "checkpoints" / "fit" / "commits"

    def saved() -> int:
        return max((int(item.stem) for item in commits.glob("*.json")), default=0)

    run = started(snakemake, workflow)
    eventually(lambda: saved() >= 4 or run.process.poll() is not None)
    (driver,) = drivers(run)
    driver.kill()
    faults.add("SIGKILL of the job")
    before = saved()
    eventually(lambda: saved() >= before + 4 or run.process.poll() is not None)
    assert run.process.poll() is None, run.err.read_text()
    assert workflow.manifest("fit")["resumed_from"] >= 4
    children = psutil.Process(run.process.pid).children(recursive=True)
    run.signal_all(signal.SIGKILL)
    for child in children:
        child.kill()
    run.wait()
    faults.add("SIGKILL of everything")

    assert started(snakemake, workflow, "--unlock").wait() == 0
    again = started(snakemake, workflow, "--rerun-incomplete")
    assert again.wait() == 0, again.err.read_text()
    assert (workflow.path / "fit.finished").is_file()
    assert workflow.manifest("fit")["resumed_from"] >= before
    assert workflow.bits("fit") == undisturbed
