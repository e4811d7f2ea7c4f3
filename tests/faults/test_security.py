"""Nothing that is named leads out, nothing listens outside, no YAML is without end."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gmm_dask import ConfigError
from pipeline.clusters import ClusterSettings, open_client
from pipeline.config import check_connection, load, loads
from pipeline.manifest import RunFolder
from pipeline.run.earlier import start_over

MANY = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
BOMBS = {
    "aliases": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "\n".join(
        f"{n}: &{n} [{', '.join([f'*{chr(ord(n) - 1)}'] * 9)}]" for n in "bcdefghijklmnopqrs"
    ),
    "depth": "a: " + "[" * 100_000,
    "size": "a: " + "x" * 2_000_000,
    "values": "a: [" + "1," * 200_000 + "1]",
    "tags": "a: !!python/object/apply:os.system [exit]",
    "digits": "a: " + "9" * 500_000,
}


LIMITS = {
    "aliases": "more than 100 aliases|more than 100000 values",
    "depth": "nested deeper than 20 levels",
    "size": "a configuration has at most 1000000",
    "values": "more than 100000 values",
    "tags": "tags such as .* are not read",
    "digits": "no such key",
}


@pytest.mark.parametrize("name", BOMBS)
def test_yaml_is_read_within_limits(name: str) -> None:
    before = psutil.Process().memory_info().rss
    with pytest.raises(ConfigError, match=LIMITS[name]):
        loads(BOMBS[name], "bomb.yaml")
    assert psutil.Process().memory_info().rss - before < 300e6


@MANY
@given(name=st.text(min_size=1, max_size=20) | st.sampled_from(["..", "../x", "/x", "a/../../b"]))
@example(name="..\\x")
@example(name="a\nb")
@example(name="{dir}")
def test_no_run_name_leads_out_of_its_folder(name: str) -> None:
    told = {"source": {"path": "builtin:iris"}, "model": {"n_components": 2}, "run": {"name": name}}
    try:
        config = loads(json.dumps(told), "fit.yaml")
    except ConfigError:
        return
    for place in (config.run.dir, config.checkpoint.path, config.output.path, config.report.path):
        assert Path(place).resolve().is_relative_to(Path("runs").resolve())
    assert Path(config.run.dir).resolve().parent == Path("runs").resolve()


@pytest.mark.parametrize("stem", ["..", "...", " x", "a b", "x\ny", "-", "ä", "~", "{dir}"])
def test_no_name_of_a_file_leads_out_either(
    stem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(f"{stem}.yaml").write_text("source: {path: builtin:iris}\nmodel: {n_components: 2}\n")
    config = load(f"{stem}.yaml")
    assert Path(config.run.dir).resolve().parent == (tmp_path / "runs").resolve()


def insecure(text: str) -> ClusterSettings:
    whole = f"source: {{path: builtin:iris}}\nmodel: {{n_components: 2}}\ncluster: {text}"
    section = loads(whole, "x.yaml").cluster
    return ClusterSettings(
        n_workers=1,
        options=section.options,
        check=lambda address: check_connection(address, section),
    )


@pytest.mark.parametrize(
    "option",
    [
        "host: 0.0.0.0",
        "host: 192.0.2.7",
        "host: '::'",
        "interface: eth0",
        "dashboard_address: ':0'",
        "dashboard_address: 0.0.0.0:0",
        "scheduler_kwargs: {host: 0.0.0.0}",
        "worker_kwargs: {host: 0.0.0.0}",
    ],
)
def test_a_local_cluster_lets_nobody_in_unless_that_is_said(option: str) -> None:
    refused = insecure(f"{{options: {{{option}, processes: false}}}}")
    with (
        pytest.raises(ConfigError, match=r"lets other machines in.*allow_insecure"),
        open_client(refused),
    ):
        pass


def test_fresh_moves_checkpoints_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``checkpoint.path`` may be a folder with other things in it."""
    monkeypatch.chdir(tmp_path)
    mine = ["thesis.tex", "data/survey.parquet", "commits/notes.txt"]
    theirs = ["commits/0000000007.json", f"data/0000000007-{'a' * 32}/zarr.json"]
    for name in (*mine, *theirs):
        (tmp_path / "here" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "here" / name).write_text(name)
    told = {"checkpoint": {"path": "here"}, "source": {"path": "builtin:iris"}}
    config = loads(yaml.safe_dump({**told, "model": {"n_components": 2}}), "fit.yaml")
    start_over(config, RunFolder(tmp_path / "runs" / "fit"))
    assert all((tmp_path / "here" / name).read_text() == name for name in mine)
    (aside,) = (path for path in tmp_path.iterdir() if path.name.startswith("here-"))
    assert all((aside / name).read_text() == name for name in theirs)
    assert not any((tmp_path / "here" / name).exists() for name in theirs)
