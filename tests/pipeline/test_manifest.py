"""``run.json`` and its folder."""

from __future__ import annotations

import json
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask import ConfigError, FormatError
from pipeline.manifest import RunFolder, checksum, find_run, read_manifest, summary, versions


def test_a_manifest_is_written_changed_and_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.load() is None
    folder.begin({"status": "running", "seed": np.int64(3), "score": math.nan})
    folder.update(status="finished", seconds=np.float64(2.5))
    stored = read_manifest(tmp_path / "run.json")
    assert stored == {"version": 1, "status": "finished", "seed": 3, "score": None, "seconds": 2.5}
    assert RunFolder(tmp_path).load() == stored
    assert [item.name for item in tmp_path.iterdir()] == ["run.json"]


def test_readers_never_see_half_a_manifest(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin({"status": "running", "filler": ["x" * 1000] * 200})
    seen: list[int] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.append(len(read_manifest(folder.file)["filler"]))

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(60):
        folder.update(number=number)
    stop.set()
    reader.join()
    assert set(seen) == {200}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ('{"version": 1', "damaged"),
        ("[1, 2]", "no manifest of a run"),
        ('{"version": "1"}', "no manifest of a run"),
        ('{"status": "finished"}', "no manifest of a run"),
        ('{"version": 2}', "newer version"),
        ("\xff\xfe", "damaged"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(FormatError, match=message):
        read_manifest(path)


@pytest.mark.parametrize("key", ["table", "widths", "diagnosis", "warnings"])
def test_lines_for_the_terminal_are_text(tmp_path: Path, key: str) -> None:
    """Whoever makes up a manifest can write its checksum."""
    made: dict[str, Any] = {"version": 1, key: ["a line", ["no line"]]}
    path = tmp_path / "run.json"
    path.write_text(json.dumps({**made, "sha256": checksum(made)}))
    with pytest.raises(FormatError, match=f"{key} holds"):
        read_manifest(path)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(FormatError, match="larger than"):
        read_manifest(path)


def test_events_are_lines_of_json(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.event("pass", number=np.int64(1), best=-math.inf, path=tmp_path)
    folder.event("finished", text="two\nlines")
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    first, second = (json.loads(line, parse_constant=pytest.fail) for line in lines)
    assert (first["event"], first["number"], first["best"]) == ("pass", 1, None)
    assert first["path"] == str(tmp_path)
    assert second["text"] == "two\nlines"


def test_only_what_a_run_writes_is_set_aside(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.set_aside() is None
    assert folder.next_attempt == 1
    for name in ("model.zarr", "checkpoints", "labels", "data"):
        (tmp_path / name).mkdir()
    for name in ("notes.txt", "run.lock", "heartbeat.json", "candidates.csv"):
        (tmp_path / name).write_text(name)
    outside = tmp_path.parent / "outside.csv"
    outputs = {
        "assignments": {"path": str(tmp_path / "labels")},
        "report": {"path": str(outside)},
        "gone": {"path": str(tmp_path / "gone.html")},
    }
    folder.begin({"status": "finished", "outputs": outputs})
    outside.write_text("")
    kept = folder.set_aside()
    assert kept == tmp_path / "attempts" / "1"
    moved = {"run.json", "model.zarr", "checkpoints", "candidates.csv", "labels"}
    assert {item.name for item in kept.iterdir()} == moved
    left = {"notes.txt", "run.lock", "heartbeat.json", "data", "attempts"}
    assert {item.name for item in tmp_path.iterdir()} == left
    assert outside.exists()
    assert folder.next_attempt == 2
    (tmp_path / "attempts" / "7").mkdir()
    (tmp_path / "attempts" / "notes").mkdir()
    (tmp_path / "run.json").write_text("damaged")
    assert folder.set_aside() == tmp_path / "attempts" / "8"


def test_set_aside_by_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    folder = RunFolder(Path("run"))
    Path("run/model.zarr").mkdir()
    folder.begin({"outputs": {"model": {"path": str(Path("run/model.zarr").resolve())}}})
    kept = folder.set_aside()
    assert kept is not None
    assert sorted(item.name for item in kept.iterdir()) == ["model.zarr", "run.json"]


def test_find_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no run \(no run.json\)"):
        find_run(tmp_path)
    RunFolder(tmp_path).begin({})
    assert find_run(str(tmp_path)) == tmp_path


def test_versions_name_what_bits_rest_on() -> None:
    found = versions()
    assert {"gmm-dask", "python", "numpy", "scipy", "llvmlite", "dask", "distributed"} <= set(found)
    assert all(isinstance(version, str) and version for version in found.values())


def test_summary_leaves_out_what_is_long() -> None:
    manifest = {"status": "finished", "rows": 3, "config": {}, "table": [], "exit_code": 0}
    assert summary(manifest) == {"status": "finished", "exit_code": 0, "rows": 3}


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(key=st.sampled_from(["status", "outputs", "exit_code", "config", "dir", "table"]), junk=JUNK)
def test_a_manifest_is_checked_though_its_checksum_is_right(
    tmp_path_factory: pytest.TempPathFactory, key: str, junk: Any
) -> None:
    content = {"version": 1, "status": "finished", "exit_code": 0, "outputs": {}, key: junk}
    path = tmp_path_factory.mktemp("run") / "run.json"
    text = json.dumps(content)
    content = json.loads(text)
    path.write_text(json.dumps({**content, "sha256": checksum(content)}))
    try:
        found = read_manifest(path)
    except FormatError:
        return
    kinds = {"status": str, "exit_code": int, "table": list, "dir": str}
    assert found.get(key) is None or isinstance(found[key], kinds.get(key, dict))


@pytest.mark.parametrize("key", ["seed", "status", "outputs", "sha256"])
def test_a_manifest_that_was_changed_by_hand(tmp_path: Path, key: str) -> None:
    folder = RunFolder(tmp_path)
    output = {"path": str(tmp_path / "x"), "sha256": "0" * 64}
    folder.begin({"status": "finished", "seed": 3, "outputs": {"model": output}})
    stored = json.loads(folder.file.read_text())
    for change in ({key: {"seed": 4, "status": "running", "outputs": {}}.get(key)}, None):
        changed = {**stored, **change} if change else {k: stored[k] for k in stored if k != key}
        folder.file.write_text(json.dumps(changed))
        with pytest.raises(FormatError, match="changed by hand"):
            folder.load()
    folder.file.write_text(json.dumps(stored))  # laid out otherwise, it says the same
    assert folder.load() is not None
