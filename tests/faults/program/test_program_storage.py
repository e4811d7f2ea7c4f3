"""Checkpoints and outputs on storage that fails, and drivers that want the same run."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.end_to_end.program import DEADLINE, PROGRAM, Place
from tests.faults.harness import Faults, eventually

pytestmark = pytest.mark.cluster

FILES = ("the marker", "float64/c/0", "float64/zarr.json", "zarr.json")
OTHER_HOST = "a-host-that-is-not-this-one"


@pytest.fixture(scope="module")
def half(place: Place, cluster: dict[str, Any]) -> Iterator[Path]:
    """A copy of a run that was killed in its middle, with three checkpoints."""
    run = place.start("run", place.config("half", cluster=cluster))
    place.reach(run, "half", 8)
    run.signal(signal.SIGKILL)
    run.wait()
    copy = place.path / "half-way"
    shutil.copytree(place.path / "runs" / "half", copy)
    yield copy
    shutil.rmtree(copy)


@pytest.fixture
def killed(place: Place, half: Path) -> Path:
    """The killed run as it was left."""
    folder = place.path / "runs" / "half"
    shutil.rmtree(folder)
    shutil.copytree(half, folder)
    return folder


def newest(folder: Path) -> tuple[Path, Path]:
    """Return marker and data folder of the newest checkpoint."""
    marker = max((folder / "checkpoints" / "commits").glob("*.json"))
    (data,) = (folder / "checkpoints" / "data").glob(f"{marker.stem}-*")
    return marker, data


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_in_any_file_of_a_checkpoint(
    place: Place,
    killed: Path,
    undisturbed: tuple[str, str],
    name: str,
    rng: np.random.Generator,
    faults: Faults,
) -> None:
    """The checkpoint before is taken, with a warning on the console and in the manifest."""
    marker, data = newest(killed)
    files = {path.relative_to(data).as_posix(): path for path in data.rglob("*") if path.is_file()}
    files["the marker"] = marker
    assert sorted(files) == sorted(FILES)
    content = bytearray(files[name].read_bytes())
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    files[name].write_bytes(content)
    faults.add("flipped bit")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        done = place.ask("run", "half.yaml")
    assert done.exit_code == 0, done.stderr
    before = int(marker.stem) - 1
    told = f"damaged checkpoints passed over, going on from pass {before}: {marker.name}: "
    assert f"warning: {told}" in done.stderr
    assert f"resuming runs/half from pass {before} " in done.stderr
    assert any(text.startswith(told) for text in place.manifest("half")["warnings"])
    assert place.bits("half") == undisturbed


def test_without_a_valid_checkpoint_nothing_starts_over_by_itself(
    place: Place, killed: Path, faults: Faults
) -> None:
    for marker in (killed / "checkpoints" / "commits").glob("*.json"):
        marker.write_bytes(marker.read_bytes()[:-20])
        faults.add("truncated marker")
    done = place.ask("run", "half.yaml")
    assert done.exit_code == 4, done.stderr
    assert "no checkpoint in" in done.stderr
    assert "start over" in done.stderr
    assert "Traceback" not in done.stderr


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.argv = ["gmm-dask", *sys.argv[2:]]
from pipeline.cli import main
main()
"""


def limited(place: Place, size: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the program where no file may become larger than `size` bytes."""
    command = [sys.executable, "-c", LIMITED, str(size), *words]
    return subprocess.run(
        command, cwd=place.path, capture_output=True, text=True, timeout=DEADLINE, check=False
    )


def test_no_room_for_a_checkpoint_then_none_for_the_labels(
    place: Place, cluster: dict[str, Any], faults: Faults
) -> None:
    """A checkpoint of 20 components is larger than the manifest; labels are larger still."""
    model = {"n_components": 20, "n_init": 4, "max_iter": 3}
    threads = {"n_workers": 1, "options": {"processes": False}}
    whole = place.ask("run", place.config("roomy", cluster=cluster, model=model))
    assert whole.exit_code == 5, whole.stderr
    config = place.config("full", cluster=threads, model=model)
    sizes = [item.stat().st_size for item in (place.path / "runs" / "roomy").rglob("data/*/*.json")]
    done = limited(place, max(sizes) // 2, "run", config)
    faults.add("full disk")
    assert done.returncode == 4, done.stderr
    assert "checkpoint of pass 1 was not written to" in done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    done = limited(place, max(sizes) * 2, "run", config)
    faults.add("full disk")
    assert done.returncode == 4, done.stderr
    assert re.search(r"assignments: rows \d+ to \d+ cannot be written: File too", done.stderr)
    assert "Traceback" not in done.stderr
    folder = place.path / "runs" / "full"
    assert not (folder / "assignments").exists()
    assert [item.name for item in folder.iterdir() if item.name.startswith(".assignments")] == []
    assert place.manifest("full")["status"] == "failed"
    again = place.ask("run", place.config("full", cluster=cluster, model=model))
    assert again.exit_code == 5, again.stderr
    assert place.manifest("full")["resumed_from"] > 0
    both = [place.manifest(name) for name in ("roomy", "full")]
    assert both[0]["model_fingerprint"] == both[1]["model_fingerprint"]


def test_a_folder_for_checkpoints_that_may_only_be_read(
    place: Place, killed: Path, undisturbed: tuple[str, str], faults: Faults
) -> None:
    words = [str(PROGRAM), "run", "half.yaml"]
    if os.geteuid() == 0:  # whom no mode of a folder stops, unless the capability is taken away
        if shutil.which("setpriv") is None:
            pytest.skip("run as root, and setpriv is not there to drop its capabilities")
        words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *words]
    folders = [killed / "checkpoints" / name for name in ("commits", "data")]
    for folder in folders:
        folder.chmod(0o555)
    try:
        done = subprocess.run(
            words, cwd=place.path, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
    finally:
        for folder in folders:
            folder.chmod(0o755)
    faults.add("read-only folder")
    assert done.returncode == 4, done.stderr
    assert "was not written to" in done.stderr
    assert "Permission denied" in done.stderr
    assert "Earlier checkpoints are untouched" in done.stderr
    assert "Traceback" not in done.stderr
    again = place.ask("run", "half.yaml")
    assert again.exit_code == 0, again.stderr
    assert place.bits("half") == undisturbed


def foreign_lock(folder: Path, silent: float) -> None:
    """Let the lock be that of another machine's driver, silent for so many seconds."""
    then = time.time() - silent
    for name in ("run.lock", "heartbeat.json"):
        path = folder / name
        content = json.loads(path.read_text())
        (content.get("owner") or content)["host"] = OTHER_HOST
        path.write_text(json.dumps(content))
        os.utime(path, (then, then))


def test_the_lock_of_another_machine_holds_while_its_heart_beats(
    place: Place, killed: Path, undisturbed: tuple[str, str], faults: Faults
) -> None:
    """The killed driver's own lock is taken over in every other test here."""
    foreign_lock(killed, silent=10.0)
    faults.add("second driver")
    began = time.monotonic()
    refused = place.ask("run", "half.yaml")
    assert time.monotonic() - began < 30  # at once: the minute of silence is not waited for
    assert refused.exit_code == 4
    assert f"another driver has this run: host {OTHER_HOST}" in refused.stderr
    foreign_lock(killed, silent=100.0)
    faults.add("dead owner")
    done = place.ask("run", "half.yaml")
    assert done.exit_code == 0, done.stderr
    assert place.bits("half") == undisturbed


def test_two_drivers_that_predict_into_one_folder(
    place: Place, undisturbed: tuple[str, str], faults: Faults
) -> None:
    """The second is refused, and what the first is doing is left alone."""
    words = ("predict", "runs/undisturbed", "rows.npy", "--out", "twice")
    first = place.start(*words)
    eventually((place.path / ".twice-scratch" / "run.lock").is_file)
    first.signal(signal.SIGSTOP)
    refused = place.ask(*words)
    first.signal(signal.SIGCONT)
    faults.add("second driver")
    assert refused.exit_code == 4, refused.stdout
    assert "another driver has this run" in refused.stderr
    assert first.wait() == 0, first.err.read_text()
    told = json.loads((place.path / "twice.json").read_text())
    assert told["output"]["sha256"] == undisturbed[1]
    assert not (place.path / ".twice-scratch").exists()
