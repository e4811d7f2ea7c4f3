"""An existing scheduler, found by address and by file, or not at all."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.end_to_end.program import Place
from tests.end_to_end.servers import Servers

pytestmark = pytest.mark.cluster


def test_by_file_and_by_address_the_bits_are_those_of_a_local_cluster(
    place: Place, servers: Servers, undisturbed: str
) -> None:
    """`undisturbed` went by the file; the tests of kills compare local clusters with it."""
    cluster: dict[str, Any] = {"type": "address", "address": servers.address}
    cluster |= {"wait_for_workers": 2, "timeout": "60s"}
    sections = {"report": {"title": "By address"}, "diagnose": {"ambiguous": 0.8}}
    config = place.config("address", cluster=cluster, **sections)
    done = place.call("run", config, "--json", "--json-file", "out/result.json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed == json.loads((place.path / "out" / "result.json").read_text())
    assert printed["exit_code"] == 0
    assert printed["status"] == "finished"
    assert printed["model_fingerprint"] == place.fingerprint("address") == undisturbed
    outputs = {"model", "candidates", "assignments", "report", "diagnosis"}
    assert set(printed["outputs"]) == outputs
    assert place.manifest("address")["workers"]["workers"] == 2
    gate = place.call("status", "runs/address", "--require", "finished")
    assert gate.returncode == 0, gate.stdout
    labels = place.call("predict", "runs/address", "rows.npy", "--out", "labels")
    assert labels.returncode == 0, labels.stderr
    assert "40,000 rows written labels" in labels.stdout


def test_nobody_at_the_address_is_4_within_the_timeout(place: Place) -> None:
    cluster = {"type": "address", "address": "tcp://127.0.0.1:9", "timeout": "2s"}
    began = time.monotonic()
    done = place.call("run", place.config("nobody", cluster=cluster))
    assert time.monotonic() - began < 60  # two seconds, and those of starting the program
    assert done.returncode == 4
    assert done.stderr.startswith("error: no scheduler answers at tcp://127.0.0.1:9 within 2 s")
    assert "Traceback" not in done.stderr
    assert place.manifest("nobody")["status"] == "failed"


def test_too_few_workers_is_4_within_the_timeout(place: Place, cluster: dict[str, str]) -> None:
    waiting = {**cluster, "wait_for_workers": 9, "timeout": "2s"}
    done = place.ask("run", place.config("waiting", cluster=waiting))
    assert done.exit_code == 4
    assert "waited 2 s for 9 workers" in done.stderr
    assert "nothing is lost" in done.stderr
    again = place.ask("run", place.config("waiting", cluster=cluster))
    assert again.exit_code == 0, again.stderr
