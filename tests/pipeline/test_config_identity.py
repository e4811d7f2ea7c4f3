"""Overrides, what decides the model, and what stays secret."""

from __future__ import annotations

import json

import pytest

from gmm_dask.errors import ConfigError
from pipeline.config import difference, loads, mask_address, reveal

BASE = "source:\n  path: x.csv\nmodel:\n  n_components: 3\n"


def identity(*overrides: str) -> dict[str, object]:
    return json.loads(json.dumps(loads(BASE, "f.yaml", overrides).identity()))


@pytest.mark.parametrize(
    "override",
    [
        "model.tol=1e-3",
        "model.max_iter=7",
        "cluster.n_workers=2",
        "checkpoint.every=5m",
        "output=false",
        "report.title=x",
        "run.name=other",
        "run.dir=elsewhere",
        "source.storage_options.anon=true",
        "select.criterion=aic",
        "select.held_out=0.2",
    ],
)
def test_keys_that_may_change_between_attempts(override):
    assert difference(identity(), identity(override)) == []


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("model.covariance_type=diag", "model.covariance_type: full -> diag"),
        ("model.n_components=2..20", "model.n_components: 3 -> 2..20"),
        ("model.n_components=10..60 by 5", "model.n_components: 3 -> 10..60 by 5"),
        ("model.n_components=[2, 9, 4]", "model.n_components: 3 -> [2, 9, 4]"),
        ("model.random_state=1", "model.random_state: 0 -> 1"),
        ("model.reg_covar=1e-3", "model.reg_covar: not set -> 0.001"),
        ("model.n_init=2", "model.n_init: 5 -> 2"),
        ("source.filter=x < 1", "source.filter: not set -> x < 1"),
        ("source.filter=" + "x < 1 and " * 9 + "y > 0", "source.filter: changed"),
        ("source.limit=10", "source.limit: not set -> 10"),
        ("transform=[standardize]", 'transform: [] -> ["standardize"]'),
        ("select.criterion=held_out", "select.held_out: not set -> 0.1"),
    ],
)
def test_keys_that_decide_the_model(override, line):
    assert difference(identity(), identity(override)) == [line]


def test_a_key_added_by_a_later_version_is_no_difference_while_it_is_null():
    new = identity()
    assert difference(new, {**new, "model": {**new["model"], "prior": None}}) == []  # type: ignore[dict-item]


def test_overrides_go_on_top_of_the_file_and_the_last_one_holds():
    values = loads(
        BASE + "report: null\n",
        "f.yaml",
        ["model.n_components=4", "model.n_components=5", "report.title=Gaia: a cone # 45"],
    )
    assert values.model.n_components == (5,)
    assert values.report is not False
    assert values.report.title == "Gaia: a cone # 45"


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("source.path=*.parquet", "source", "path", ("*.parquet",)),
        ("source.columns=[on, 1E5]", "source", "columns", ("on", "1E5")),
        ("source.filter=a == 'b'", "source", "filter", "a == 'b'"),
        ('source.filter="a: b"', "source", "filter", "a: b"),
        ("source.limit=", "source", "limit", None),
        ("run.name=2026-11-20", "run", "name", "2026-11-20"),
        ("run.dir=a=b", "run", "dir", "a=b"),
        ("cluster.options.walltime=6:00:00", "cluster", "options", {"walltime": "6:00:00"}),
        ("cluster.options={a: {b: 2}}", "cluster", "options", {"a": {"b": 2}}),
    ],
)
def test_values_of_overrides(override, section, key, value):
    assert getattr(getattr(loads(BASE, "f.yaml", [override]), section), key) == value


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.tol=abc", "--set model.tol=abc: needs a finite number"),
        ("model.tolerance=1", "--set model.tolerance=1: no such key; write model.tol"),
        ("nothing", "--set nothing: write --set section.key=value"),
        ("=5", "--set =5: write --set section.key=value"),
        ("model.tol=", "--set model.tol=: needs a finite number such as 0.001 or 1e-3, got null"),
        ("model..tol=5", "--set model..tol=5: write --set section.key=value"),
        ("source.columns=[a,", "--set source.columns=[a,: not readable as YAML"),
        ("source.columns=[!!str a]", "--set source.columns=[!!str a]: tags such as"),
        ("model.tol.x=5", "--set model.tol.x=5: tol is 1 in the file; set tol as a whole"),
        ("transform.0.pca=5", "--set transform.0.pca=5: transform is a list in the file"),
        ("model={tol: abc, n_components: 2}", "tol: abc, n_components: 2}: model.tol: needs a"),
        ("run.foo.bar=1", "--set run.foo.bar=1: run.foo: no such key."),
        ("source.storage_option.secret=geheim", "--set source.storage_option.secret=***: "),
        ("source.pth=s3://k:geheim@b/x", "--set source.pth=s3://***@b/x: no such key"),
    ],
)
def test_overrides_that_are_refused(override, message):
    text = BASE + "  tol: 1\ntransform: [standardize]\n"
    with pytest.raises(ConfigError) as caught:
        loads(text, "f.yaml", [override])
    assert message in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_an_override_does_not_reach_an_alias_of_what_it_changes():
    text = "source: {path: x, storage_options: &o {a: 1}}\nmodel: {n_components: 3}\n"
    values = loads(text + "cluster: {options: *o}\n", "f.yaml", ["source.storage_options.a=2"])
    assert values.cluster.options == {"a": 1}
    assert values.source.storage_options == {"a": 2}


def test_nothing_secret_is_shown():
    text = (
        "source:\n  path: ['s3://key:geheim@bucket/x', 'https://h/x?sig=geheim&part=1']\n"
        "  storage_options: {key: env:KEY, secret: geheim, anon: false, n: 7,"
        " client_kwargs: {password: geheim}}\n"
        "model: {n_components: 3}\nrun: {dir: 'https://u:geheim@h/runs'}\n"
        "cluster: {options: {env: {API_TOKEN: geheim, N: 4}, queue: normal}}\n"
    )
    values = loads(text, "f.yaml")
    shown = values.resolved()
    assert "geheim" not in json.dumps(shown)
    assert "geheim" not in json.dumps(values.identity())
    assert shown["source"]["path"] == ["s3://***@bucket/x", "https://h/x?sig=***&part=1"]
    assert shown["source"]["storage_options"] == {
        "key": "env:KEY",
        "secret": "***",
        "anon": False,
        "n": "***",
        "client_kwargs": {"password": "***"},
    }
    assert shown["cluster"]["options"] == {
        "env": {"API_TOKEN": "***", "N": 4},
        "queue": "normal",
    }
    assert values.source.path[0] == "s3://key:geheim@bucket/x"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("s3://key:se/cr/et@bucket/x", "s3://***@bucket/x"),
        ("http://host:8080/a@b", "http://host:8080/a@b"),
        ("https://token@host/x", "https://***@host/x"),
        ("simplecache::https://u:p@host/x", "simplecache::https://***@host/x"),
        ("https://h/x?X-Amz-Signature=abc", "https://h/x?X-Amz-Signature=***"),
        ("https://h/x?id=3", "https://h/x?id=3"),
        ("s3://bucket/part-?.parquet", "s3://bucket/part-?.parquet"),
        ("a@b.parquet", "a@b.parquet"),
    ],
)
def test_credentials_in_addresses_are_masked(address, shown):
    assert mask_address(address) == shown


def test_secrets_are_read_from_the_environment_when_used(monkeypatch):
    monkeypatch.setenv("GMM_TEST_TOKEN", "geheim")
    options = {"token": "env:GMM_TEST_TOKEN", "client": {"k": ["env:GMM_TEST_TOKEN", 3]}, "a": True}
    assert reveal(options) == {"token": "geheim", "client": {"k": ["geheim", 3]}, "a": True}
    assert options["token"] == "env:GMM_TEST_TOKEN"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("env:GMM_TEST_ABSENT", "the environment variable GMM_TEST_ABSENT is not set"),
        ("env:not a name", "after env: comes the name of a variable"),
        ("***", "its value was not stored"),
    ],
)
def test_secrets_that_cannot_be_read(value, said, monkeypatch):
    monkeypatch.delenv("GMM_TEST_ABSENT", raising=False)
    with pytest.raises(ConfigError, match=r"source\.storage_options\.client\.token: ") as caught:
        reveal({"client": {"token": value}})
    assert said in str(caught.value)
