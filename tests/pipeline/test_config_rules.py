"""Combinations refused before any pass, and what this version cannot do yet."""

from __future__ import annotations

import pytest

from gmm_dask.errors import ConfigError
from pipeline.config import (
    ClusterSection,
    check_connection,
    cluster_rules,
    from_resolved,
    loads,
    not_yet,
)
from pipeline.config.load import _validated
from pipeline.config.reader import read
from pipeline.config.rules import broken_rules

BASE = "source: {path: x.csv}\nmodel: {n_components: 3}\n"


def refusal(*overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loads(BASE, "f.yaml", overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("cluster.type=slurm", "no starting of workers through a batch queue yet"),
        ("cluster.type=gateway", "no starting of workers in a cloud yet"),
    ],
)
def test_what_comes_later_is_refused_in_one_sentence(override, said):
    (line,) = refusal(override).splitlines()
    assert line.startswith(f"--set {override}: this version has {said}; take it out")


DROPLETS = (
    "source: {{path: x, columns: [f, h], group: well{source}}}\nmodel:\n  components: ddpcr\n"
    "  copies: {copies}\n  weights_by: group\n{model}"
)


@pytest.mark.parametrize(
    ("source", "copies", "model", "said"),
    [
        ("", "{f: 0..1}", "", "needs the columns of source.columns, all of them"),
        ("", "{f: 1..2, h: 0..1}", "", "f: copies run from 0"),
        ("", "{f: 0..1, h: 0..1}", "  weights: equal\n", "ddpcr has poisson weights"),
        ("", "{f: 0..1, h: 0..1}", "  assignment: hard\n", "does not go with assignment"),
        ("", "{f: 0..1, h: 0..1}", "  covariance_type: spherical\n", "spherical"),
        ("", "{f: 0..1, h: 0..1}", "  missing: marginalize\n", "missing: marginalize"),
        (", noise: {std: '{column}_e'}", "{f: 0..1, h: 0..1}", "", "does not go with source.noise"),
    ],
)
def test_what_droplets_need_and_do_not_go_with(source, copies, model, said):
    with pytest.raises(ConfigError) as caught:
        loads(DROPLETS.format(source=source, copies=copies, model=model), "f.yaml")
    (line,) = str(caught.value).splitlines()
    assert said in line


def test_concentrations_need_droplets_and_a_volume():
    assert "concentrations need model.components" in refusal(
        "diagnose={concentration: {partition_volume: 0.85 nL}}"
    )
    text = DROPLETS.format(source="", copies="{f: 0..1, h: 0..1}", model="")
    with pytest.raises(ConfigError, match="it has no default"):
        loads(text + "diagnose: {concentration: {dilution: 2}}\n", "f.yaml")


@pytest.mark.parametrize("path", [row.path for row in not_yet.LATER])
def test_each_row_of_the_table_names_a_key(path):
    value = loads(BASE, "f.yaml")
    *above, key = path.split(".")
    section = type(getattr(value, above[0])) if above else type(value)
    assert key in section.model_fields


def against(text: str) -> list[str]:
    """Give the broken rules, as they will be told when everything is available."""
    value = read(text, "f").value
    config, problems = _validated(value)
    assert not problems
    assert config is not None
    return [f"{'.'.join(map(str, path))}: {said}" for path, said in broken_rules(config, set())]


@pytest.mark.parametrize(
    ("source", "model", "rest", "said"),
    [
        ("noise: {std: e}", "", "transform: [log]", "transform: log and source.noise: errors are"),
        ("noise: {std: e}", "", "transform: [arcsinh: {cofactor: 5}]", "drop noise"),
        ("noise: {std: e}", "", "transform: [log]", "noise: delta"),
        (
            "noise: {std: e}",
            "",
            "transform: [pca: 2]\noutput: {columns: [deconvolved_mean]}",
            "of which pca leaves some out",
        ),
        ("", "missing: marginalize", "transform: [pca: 2]", "transform: pca needs complete rows"),
        ("", "circular: {a: 360}", "transform: [log]", "log cannot be applied to an angle"),
        ("", "circular: {a: 360}", "transform: [pca: 2]", "pca cannot be applied to an angle"),
        ("", "components: ddpcr", "", "model.n_components: not together with model.components"),
        ("", "linkage: free", "", "model.linkage: only together with model.components: ddpcr"),
        ("", "weights_by: group", "", "model.weights_by: group needs source.group"),
        ("", "weights: {binomial: 3}", "", "binomial 3 needs 4 components; n_components 3 came"),
        ("", "weights: [0.5, 0.5]", "", "model.weights: a list of 2 weights needs 2 components"),
        ("", "frozen: {0: [mean]}", "", "model.frozen: the held values come from"),
        ("", "", "select: {rule: one_standard_error}", "needs select.criterion: held_out"),
        ("noise: {}", "", "", "needs exactly one of std, variance"),
        ("noise: {std: e, variance: v}", "", "", "got std and variance"),
        ("noise: {covariance: c, correlation: r}", "", "", "leave correlation out"),
        ("format: csv, key: X", "", "", "source.key: an array inside h5ad or zarr"),
        ("format: builtin", "", "", "needs a path such as builtin:digits"),
        ("format: csv", "", "output: {write_back: {obs: g}}", "source.format is csv"),
        ("", "", "output: {columns: [imputed]}", "imputed needs model.missing: marginalize"),
        ("", "", "output: {columns: [deconvolved_mean]}", "needs source.noise"),
        ("columns: [a, b], units: {c: m}", "", "", "source.units: c is not among source.columns"),
        ("columns: [a, b]", "", "transform: [log: {columns: c}]", "c is not among source.columns"),
        ("columns: [a, b]", "", "transform: [pca: 3]", "pca: 3 of only 2 columns"),
        ("", "", "transform: [pca: 3, pca: 4]", "pca: 4 of only 3 columns"),
        ("", "", "transform: [pca: 3, log: {columns: a}]", "after pca the columns have other"),
        ("columns: [pmra, b]", "", "report: {features: [[pmrA, b]]}", "Did you mean pmra?"),
        ("columns: [a, b]", "circular: {z: 1}", "", "model.circular: z is not among"),
        ("", "", "output: {path: '{x}'}", "{x} is not known here; {dir} and {name}"),
        ("", "", "cluster: {n_workers: 2, wait_for_workers: 3}", "waits for 3 workers"),
        ("", "", "cluster: {type: address}", "address needs cluster.address or"),
        ("", "", "cluster: {address: 'tls://h:1'}", "only with cluster.type: address"),
        ("", "", "cluster: {scheduler_file: s}", "only with cluster.type: address"),
        ("", "", "cluster: {type: address, address: 'tls://h:1', scheduler_file: s}", "not both"),
        (
            "",
            "",
            "cluster: {type: address, scheduler_file: s, options: {a: 1}}",
            "takes no options",
        ),
    ],
)
def test_combinations_that_are_refused(source, model, rest, said):
    text = f"source: {{path: x, {source}}}\nmodel: {{n_components: 3, {model}}}\n{rest}\n"
    found = against(text)
    assert len(found) == 1, found
    assert said in found[0]


@pytest.mark.parametrize(
    ("source", "model", "rest"),
    [
        ("noise: {std: e}", "", "transform: [standardize, pca: 2]"),
        ("noise: {std: e, exact: [b]}", "", "transform: [log: {columns: b}]"),
        ("noise: {std: e}", "", "transform: [arcsinh: {cofactor: 5, noise: delta}]"),
        ("", "compute_dtype: float32", "transform: [log]"),
        ("", "missing: marginalize", "transform: [standardize, log]"),
        *(("", f"weights: {law}", "") for law in ("equal", "zip", "hardy_weinberg", "binomial")),
        ("", "weights: {dirichlet: 2}", ""),
        ("", "weights: {poisson: open}", ""),
        ("group: well", "weights_by: group, weights: poisson", ""),
        ("", "circular: {a: 360}", "transform: [standardize, log: {columns: b}]"),
        ("", "", "select: {rule: one_standard_error, criterion: held_out}"),
        ("columns: [a, b]", "", "transform: [pca: 2, standardize, pca: 1]"),
        ("columns: [a, b], units: {a: m}", "", "report: {features: [[a, b]]}"),
        ("", "", "cluster: {type: address, scheduler_file: s, n_workers: 4}"),
    ],
)
def test_combinations_that_are_fine(source, model, rest):
    assert (
        against(f"source: {{path: x, {source}}}\nmodel: {{n_components: 3, {model}}}\n{rest}\n")
        == []
    )


@pytest.mark.parametrize(
    ("override", "fine"),
    [
        ("builtin:digits", True),
        ("[builtin:digits, x.csv]", False),
    ],
)
def test_bundled_data_stand_alone(override, fine):
    if fine:
        assert loads(BASE, "f", [f"source.path={override}"]).source.path == (override,)
    else:
        assert "stands alone" in refusal(f"source.path={override}")


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("tcp://127.0.0.1:8786", True),
        ("tcp://127.8.9.1:8786", True),
        ("tcp://localhost:8786", True),
        ("tcp://[::1]:8786", True),
        ("127.0.0.1:8786", True),
        ("inproc://10.0.0.1/1/1", True),
        ("tls://node7:8786", True),
        ("tcp://node7:8786", False),
        ("node7:8786", False),
        ("tcp://10.0.0.1:8786", False),
        ("tcp://0.0.0.0:8786", False),
        ("ws://node7:8786", False),
        ("ucx://node7:8786", False),
        ("tcp://127.0.0.1.evil.org:8786", False),
        ("tcp://127.0.0.1@evil.org:8786", False),
        ("tcp://[::1:8786", False),
        ("tcp://", False),
    ],
)
def test_connections_to_other_machines_are_encrypted(address, fine):
    if fine:
        check_connection(address, ClusterSection())
    else:
        with pytest.raises(ConfigError, match="allow_insecure: true"):
            check_connection(address, ClusterSection())
    check_connection(address, ClusterSection(allow_insecure=True))


def test_an_insecure_address_in_the_file_is_refused_with_its_line():
    text = BASE + "cluster:\n  type: address\n  address: tcp://u:geheim@node7:8786\n"
    with pytest.raises(ConfigError) as caught:
        loads(text, "f.yaml")
    assert str(caught.value).startswith("config f.yaml:5: cluster.address: tcp://***@node7:8786 is")
    assert loads(text + "  allow_insecure: true\n", "f.yaml").cluster.allow_insecure is True


def test_certificates_with_an_open_address_are_a_mistake():
    security = {"ca": "ca.pem", "cert": "c.pem", "key": "k.pem"}
    cluster = ClusterSection(type="address", security=security)  # type: ignore[arg-type]
    assert "although cluster.security is given" in str(
        cluster_rules.insecure("tcp://node7:8786", cluster)
    )
    assert cluster_rules.insecure("tls://node7:8786", cluster) is None


def test_a_rule_is_silent_where_one_of_its_keys_is_wrong_already():
    (line,) = refusal("select.rule=one_standard_error", "select.criterion=held").splitlines()
    assert line.startswith("--set select.criterion=held: held is not one of")


def test_a_manifest_of_a_later_version_is_refused():
    stored = loads(BASE, "f.yaml").resolved()
    stored["cluster"]["type"] = "slurm"
    with pytest.raises(ConfigError, match=r"config run.json: cluster.type: this version has no"):
        from_resolved(stored)
