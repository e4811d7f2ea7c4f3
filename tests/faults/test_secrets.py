"""Secrets of the configuration stand in nothing that a run writes or prints, even when it fails."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from tests.faults import vault
from tests.faults.harness import Faults
from tests.faults.inprocess import QUICK, place, scheduler  # noqa: F401
from tests.faults.vault import KEY, SECRETS, URL, Vault, VaultError
from tests.pipeline.run.helpers import Answer, Workplace, write_rows

pytestmark = pytest.mark.cluster


@pytest.fixture
def store(
    place: Workplace,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path_factory: pytest.TempPathFactory,
) -> Workplace:
    """A workplace whose rows lie in the vault; everything is logged that can be."""
    vault.install()
    monkeypatch.setattr(Vault, "folder", tmp_path_factory.mktemp("vault"))
    monkeypatch.setattr(Vault, "fails", None)
    monkeypatch.setenv("VAULT_SECRET", KEY)
    caplog.set_level(logging.DEBUG)
    write_rows(Vault.folder / "rows.csv", 200)
    (place.path / "rows.csv").unlink()
    return place


def config(store: Workplace, name: str = "rows.csv", **options: Any) -> str:
    """Write a configuration with secrets in the URL and, through the environment, in options."""
    source = {
        "path": URL.format(name=name),
        "format": "csv",
        "columns": ["x", "y"],
        "id": "name",
        "storage_options": {"secret": "env:VAULT_SECRET", **options},
    }
    return store.config(source=source, model=QUICK, report={})


def told(store: Workplace, answer: Answer, caplog: Any, capfd: Any) -> str:
    """Return everything that was printed, logged and written, names included."""
    written = [path for path in store.path.rglob("*") if path.name != "fit.yaml"]
    texts = [str(path) for path in written]
    texts += [path.read_bytes().decode("latin-1") for path in written if path.is_file()]
    return "\n".join([answer.out, answer.err, caplog.text, *capfd.readouterr(), *texts])


def leaks(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if any(secret in line for secret in SECRETS)]
    return [line[:300] for line in lines]


def test_a_run_that_goes_well(
    store: Workplace,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    answer = store.call("run", config(store), "--json-file", "out.json")
    assert answer.code == 0, answer.err
    everything = told(store, answer, caplog, capfd)
    assert "vault://" in everything  # the store is named
    assert "report.html" in everything
    assert leaks(everything) == []
    for words in (("plan", "fit.yaml"), ("validate", "fit.yaml", "--json"), ("status", "runs/fit")):
        assert leaks(told(store, store.call(*words), caplog, capfd)) == [], words
    again = store.call("run", "fit.yaml")
    assert "already finished" in again.out
    labels = store.call("predict", "runs/fit", URL.format(name="rows.csv"), "--out", "labels")
    assert labels.code in (0, 2), labels.err
    assert leaks(told(store, labels, caplog, capfd)) == []


@pytest.mark.parametrize("error", [OSError, PermissionError, ValueError, VaultError])
@pytest.mark.parametrize("when", ["at once", "in a pass"])
def test_a_store_that_quotes_them_in_its_errors(
    store: Workplace,
    error: type[Exception],
    when: str,
    faults: Faults,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if when == "at once":
        monkeypatch.setattr(Vault, "fails", error)
    else:
        monkeypatch.setattr(Vault, "_open", _failing(error))
    answer = store.call("run", config(store), "--json-file", "out.json")
    faults.add(f"{error.__name__} {when}")
    assert answer.code in (2, 3, 4), answer.err
    everything = told(store, answer, caplog, capfd)
    assert "vault://store/rows.csv" in everything
    assert leaks(everything) == []


def _failing(error: type[Exception]) -> Any:
    def fail(self: Vault, path: str, mode: str = "rb", **_: Any) -> Any:
        raise error(f"{path}: denied to me:{vault.PASSWORD}, token {vault.TOKEN}, secret {KEY}")

    return fail


def test_a_store_that_fails_under_a_worker(
    store: Workplace,
    faults: Faults,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    np.save(Vault.folder / "rows.npy", np.random.default_rng(0).normal(size=(300, 2)))
    good, opened = Vault._open, []

    def failing(self: Vault, path: str, mode: str = "rb", **words: Any) -> Any:
        opened.append(threading.current_thread())
        if threading.current_thread() is threading.main_thread():
            return good(self, path, mode, **words)
        faults.add("failed read")
        raise VaultError(f"{path}: denied to me:{vault.PASSWORD}, {vault.TOKEN}, {KEY}")

    # workers are asked for a row first; that they may read
    monkeypatch.setattr("gmm_dask.engine.dask_workers._check_source", lambda *_: None)
    monkeypatch.setattr(Vault, "_open", failing)
    source = {"path": URL.format(name="rows.npy"), "format": "npy"}
    source |= {"storage_options": {"secret": "env:VAULT_SECRET"}}
    answer = store.call("run", store.config(source=source, model=QUICK), "--json-file", "out.json")
    assert answer.code == 4, answer.err
    everything = told(store, answer, caplog, capfd)
    assert "the storage failed (VaultError: " in everything
    assert leaks(everything) == []


def test_a_fault_of_the_program_masks_addresses_in_its_traceback(
    store: Workplace,
    faults: Faults,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any) -> None:
        raise TypeError(f"cannot add 1 and '{URL}'")

    monkeypatch.setattr("pipeline.run.job.open_rows", broken)
    name = config(store)
    result = CliRunner().invoke(app, ["run", name, "--json-file", "out.json"])
    faults.add("a fault of the program")
    assert result.exit_code == 1
    written = [Path("out.json"), *(path for path in store.run.rglob("*") if path.is_file())]
    everything = "\n".join([result.output, result.stderr, *(p.read_text() for p in written)])
    assert "cannot add 1 and" in everything
    assert leaks(everything) == []


def test_a_file_that_is_not_there_and_secrets_on_the_command_line(
    store: Workplace,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing = URL.format(name="no.csv")
    words = ("run", config(store), "--set", f"source.path={missing}", "--json-file", "out.json")
    monkeypatch.setattr("sys.argv", ["gmm-dask", *words])
    answer = store.call(*words)
    assert answer.code == 3
    everything = told(store, answer, caplog, capfd)
    assert "no.csv" in everything
    assert leaks(everything) == []


@pytest.mark.parametrize("word", ["source.path=%s{", "source.nothing=%s", "cluster.address=%s"])
def test_errors_of_the_configuration_do_not_quote_them(
    store: Workplace,
    word: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    given = word % URL.format(name="rows.csv").replace("vault", "tcp")
    words = ("run", config(store), "--set", given, "--json-file", "out.json")
    answer = store.call(*words)
    assert answer.code in (2, 3), answer.err
    assert leaks(told(store, answer, caplog, capfd)) == []


def test_a_plain_value_in_the_options_is_not_shown_either(
    store: Workplace,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    answer = store.call("run", config(store, secret=KEY))
    assert answer.code == 0, answer.err
    assert leaks(told(store, answer, caplog, capfd)) == []
    assert store.manifest["config"]["source"]["storage_options"] == {"secret": "***"}
    assert Path("fit.yaml").read_text().count(KEY) == 1
