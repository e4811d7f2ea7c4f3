"""What a run folder keeps of its configuration, and that it can be run from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import loads
from pipeline.manifest import RunFolder, read_manifest
from pipeline.run.settings import cluster_settings, stored_config
from tests.pipeline.run.helpers import Workplace

BASE = "source: {path: builtin:iris}\nmodel: {n_components: 2}\n"


def test_cluster_settings_are_plain_values() -> None:
    text = "cluster: {n_workers: 3, memory_limit: 2GiB, timeout: 5m, options: {nanny: false}}"
    settings = cluster_settings(loads(BASE + text, "p.yaml"))
    assert (settings.type, settings.n_workers, settings.timeout) == ("local", 3, 300.0)
    assert settings.memory_limit == 2 * 2**30
    assert settings.options == {"nanny": False}


def test_the_address_in_a_scheduler_file_is_checked_too() -> None:
    text = "cluster: {type: address, scheduler_file: s.json}"
    settings = cluster_settings(loads(BASE + text, "p.yaml"))
    settings.check("tcp://127.0.0.1:8786")
    settings.check("tls://node7:8786")
    with pytest.raises(ValueError, match="not encrypted"):
        settings.check("tcp://node7:8786")


@pytest.mark.cluster
def test_a_run_folder_is_a_configuration(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    place.call("run", place.config())
    elsewhere = place.path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    again = place.call("run", "../runs/fit")
    assert again.code == 0
    assert "already finished" in again.err
    monkeypatch.chdir(elsewhere)
    other = place.call("run", str(place.run), "--set", "output.format=csv")
    assert other.code == 0, other.err
    assert place.manifest["config"]["output"]["format"] == "csv"
    assert list(elsewhere.iterdir()) == []  # nothing was made beside the run
    monkeypatch.chdir(elsewhere)
    edited = place.call("run", str(place.run), "--set", "model.n_init=9")
    assert edited.code == 2
    assert "model.n_init: 2 -> 9" in edited.err
    assert place.call("plan", str(place.run)).code == 0
    assert stored_config(str(place.run)).model.n_components == (1, 2)


@pytest.mark.cluster
def test_a_moved_run_folder_is_not_run_from(place: Workplace) -> None:
    place.call("run", place.config())
    place.run.rename("moved")
    answer = place.call("run", "moved")
    assert answer.code == 2
    assert "moved since: give its YAML file" in answer.err
    moved = RunFolder(Path("moved"))
    moved.manifest = read_manifest(moved.file)
    moved.update(cwd="/nowhere/at/all")
    answer = place.call("plan", "moved")
    assert answer.code == 2
    assert "/nowhere/at/all, where the run was started, is gone" in answer.err
