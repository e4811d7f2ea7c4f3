"""The commands: parsing, text or JSON, exit codes; never a traceback for a user's error."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gmm_dask import DataError
from pipeline import cli
from pipeline.cli import app, command

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gmm-dask", "test"])
    (tmp_path / "ok.yaml").write_text("source: {path: builtin:iris}\nmodel: {n_components: 3}\n")
    return tmp_path


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_validate_says_that_all_is_well() -> None:
    result = call("validate", "ok.yaml")
    assert (result.exit_code, result.stdout) == (0, "ok.yaml is valid\n")
    assert list(Path().iterdir()) == [Path("ok.yaml")]


def test_validate_as_json_gives_every_default() -> None:
    facts = json.loads(call("validate", "ok.yaml", "--json").stdout)
    assert facts["valid"]
    assert facts["exit_code"] == 0
    assert facts["config"]["model"]["tol"] == 1e-6


@pytest.mark.parametrize("config", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_shipped_configurations_are_valid(config: Path) -> None:
    assert call("validate", str(config)).exit_code == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model: {n_component: 3}", "bad.yaml:2: model.n_component: no such key. Did you mean"),
        ("model: {n_components: 3}\nselect: {n_init: 3}", "It belongs to model.n_init"),
        ("model: {k: 3}", "bad.yaml:2: model.k: no such key"),
        ("model: {n_components: [3", "bad.yaml"),
        ("model: {n_components: 2:20}", "model.n_components"),
        ("model: {}", "model.n_components: required"),
        ("model: {n_components: 3, frozen: {0: [mean]}}", "come from model.start_from"),
        ("", "model"),
    ],
)
@pytest.mark.parametrize("name", ["validate", "plan", "run"])
def test_a_wrong_configuration_is_2_in_every_command(name: str, text: str, told: str) -> None:
    Path("bad.yaml").write_text(f"source: {{path: builtin:iris}}\n{text}\n")
    result = call(name, "bad.yaml")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: config bad.yaml")
    assert told in result.stderr
    assert "(exit 2)" in result.stderr.splitlines()[0]
    assert "Traceback" not in result.stderr
    assert not Path("runs").exists()


def test_set_overrides_the_file() -> None:
    words = ("--set", "model.n_components=2..5", "--set", "model.tol=1e-3")
    facts = json.loads(call("validate", "ok.yaml", "--json", *words).stdout)
    assert facts["config"]["model"]["n_components"] == [2, 3, 4, 5]
    assert facts["config"]["model"]["tol"] == 1e-3
    wrong = call("validate", "ok.yaml", "--set", "model.n_init=lots")
    assert wrong.exit_code == 2
    assert "--set model.n_init=lots: needs a whole number" in wrong.stderr


def test_failures_are_json_too() -> None:
    result = call("plan", "ok.yaml", "--set", "source.path=no.csv", "--json", "--json-file", "a/b")
    assert result.exit_code == 3
    printed = json.loads(result.stdout)
    assert printed == json.loads(Path("a/b").read_text())
    assert printed["exit_code"] == 3
    assert "no.csv" in printed["error"]
    assert result.stderr.startswith("error: source.path: ")


@pytest.mark.parametrize("target", ["/proc/none/x.json", "."])
def test_a_json_file_that_cannot_be_written_is_told_before_the_work(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "load_config", lambda *_: pytest.fail("work began"))
    result = call("run", "ok.yaml", "--json-file", target)
    assert result.exit_code == 2
    assert f"--json-file {target}: cannot be written there" in result.stderr


def test_a_json_file_that_cannot_be_written_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(facts: Any, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cli, "dump", full)
    result = call("validate", "ok.yaml", "--json-file", "x.json")
    assert result.exit_code == 4
    assert "x.json: cannot be written: [Errno 28]" in result.stderr
    failed = call("validate", "none.yaml", "--json-file", "x.json")
    assert failed.exit_code == 2  # the first failure is the one to tell


def test_the_schema_is_one_object_whose_references_resolve() -> None:
    result = call("schema", "--json", "--json-file", "schema.json")
    schema = json.loads(result.stdout)
    assert json.loads(Path("schema.json").read_text()) == schema
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert schema["required"] == ["source", "model"]
    references = set(re.findall(r'"\$ref": "#/\$defs/(\w+)"', result.stdout))
    assert references <= set(schema["$defs"])
    assert {"SourceSection", "ModelSection"} <= references


@pytest.mark.parametrize("name", ["status", "report", "predict"])
def test_without_a_run(name: str) -> None:
    more = ("new.csv", "--out", "labels") if name == "predict" else ()
    for target in ("nowhere", "ok.yaml"):
        result = call(name, target, *more)
        assert result.exit_code == 2
        assert "holds no run (no run.json): give a run folder or its YAML file" in result.stderr


@pytest.mark.parametrize("words", [(), ("frobnicate",), ("run",), ("run", "ok.yaml", "--frsh")])
def test_wrong_usage_is_2(words: tuple[str, ...]) -> None:
    result = call(*words)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "name", ["run", "plan", "validate", "status", "predict", "report", "schema"]
)
def test_every_command_has_help_and_json(name: str) -> None:
    result = call(name, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert "--json-file" in result.stdout


def test_a_fault_of_the_program_shows_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(cli, "load_config", broken)
    result = call("run", "ok.yaml")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "a fault of gmm-dask, not of yours" in result.stderr


def test_every_line_of_an_error_is_shown_and_the_code_on_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> None:
        raise DataError("first\n  second")

    monkeypatch.setattr(cli, "load_config", refuse)
    assert call("plan", "ok.yaml").stderr == "error: first (exit 3)\n  second\n"


def test_the_command_for_the_manifest_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [
        *("run", "my file.yaml", "--set", "source.storage_options.secret=hunter2"),
        *("--set=cluster.options.env={TOKEN: hunter2}", "--set", "model.n_init=3"),
        *("--set", "source.path=s3://me:hunter2@bucket/x.parquet"),
        *("--set", "source={path: x, storage_options: {secret: hunter2}}"),
    ]
    monkeypatch.setattr(sys, "argv", ["/usr/bin/gmm-dask", *words])
    shown = command()
    assert "hunter2" not in shown
    assert shown.startswith("gmm-dask run 'my file.yaml' --set 'source.storage_options.secret=***'")
    assert "--set model.n_init=3" in shown
    assert "bucket/x.parquet" in shown
