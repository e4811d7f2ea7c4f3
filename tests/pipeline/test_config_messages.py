"""What a person reads who misspelt a key or gave a wrong value."""

from __future__ import annotations

import pytest

from gmm_dask.errors import ConfigError
from pipeline.config import Config, load, loads
from pipeline.config.words import USUAL, known_keys

GOOD = "source: {path: x.csv}\nmodel: {n_components: 3}\n"


def message(text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loads(text, "gaia.yaml", overrides)
    return str(caught.value)


def with_key(path: str, value: str = "1") -> str:
    """Write a file in which one key, named by its path, is added in line 3 or below."""
    section, _, key = path.partition(".")
    lines = {"source": ["  path: x.csv"], "model": ["  n_components: 3"]}
    lines.setdefault(section, []).append(f"  {key}: {value}")
    return "".join(f"{name}:\n" + "\n".join(items) + "\n" for name, items in lines.items())


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("select.n_init", "no such key. It belongs to model.n_init."),
        ("source.obsm", "no such key; write source.key: obsm/X_pca"),
        ("source.use_rep", "no such key; write source.key: obsm/X_pca"),
        ("model.seed", "no such key; write model.random_state: 0"),
        ("model.K", "no such key; write model.n_components: 8"),
        ("model.n_clusters", "no such key; write model.n_components: 8"),
        ("cluster.kind", "no such key; write cluster.type: local"),
        ("cluster.walltime", 'no such key; write cluster.options: {walltime: "04:00:00"}'),
        ("source.features", "no such key; write source.columns: [...]"),
        ("model.n_component", "no such key. Did you mean n_components?"),
        ("source.colums", "no such key. Did you mean columns?"),
        ("model.select", "no such key. It belongs to the top level of the file, as select."),
        ("run.write_back", "no such key. It belongs to output.write_back."),
        ("checkpoint.zzz", "no such key. Known here: every, keep, path."),
        ("output.in_place", "no such key; write output.write_back: {obs: gmm, in_place: true}"),
    ],
)
def test_keys_that_do_not_exist(path, said):
    text = with_key(path)
    key = path.split(".")[1]
    line = next(n for n, row in enumerate(text.splitlines(), 1) if row.startswith(f"  {key}:"))
    assert message(text) == f"config gaia.yaml:{line}: {path}: {said}"


@pytest.mark.parametrize("section", list(USUAL))
def test_the_table_of_usual_words_leads_to_keys_that_exist(section):
    known = {".".join(path) for path in known_keys(Config)}
    for word, right in USUAL[section].items():
        place = right.partition(":")[0]
        assert (f"transform.{place}" if section == "transform" else place) in known
        assert f"{section}.{word}" not in known
        assert word == word.lower()


def test_a_misspelt_required_key_is_told_once():
    text = "source:\n  path: x\nmodel:\n  n_component: 3\n"
    said = "config gaia.yaml:4: model.n_component: no such key. Did you mean n_components?"
    assert message(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: 1", "seed: no such key; write model.random_state: 0"),
        ("n_components: 3", "n_components: no such key. It belongs to model.n_components."),
        ("modle: 3", "modle: no such key. Did you mean model?"),
        ("pca: 3", "pca: no such key; write transform: [pca: 20]"),
        ("transform: [standardise]", "[0].standardise: no such step. Did you mean standardize?"),
        ("transform: [scale]", "transform[0].scale: no such step; write standardize"),
        ("transform: [seed]", "[0].seed: no such step. Known here: standardize, log, arcsinh, pca"),
        ("transform: [{pca: 2, log: {}}]", "transform[0]: a step is one word"),
        ("transform: [arcsinh]", "transform[0].arcsinh.cofactor: required: it has no default"),
        ("transform: [pca]", "transform[0].pca: needs a whole number"),
        ("transform: [pca: 0.9]", "transform[0].pca: needs a whole number"),
        ("transform: standardize", "transform: needs a list such as [a, b], got standardize"),
        ("transform: [standardize: {x: 1}]", "standardize.x: no such key; it takes no options"),
        ("run: 5", "run: needs key: value pairs, got 5"),
        ("report: no", "report: needs key: value pairs or false, got no"),
        ("output: {columns: [labell]}", "output.columns[0]: labell is not one of label,"),
        ("output: {columns: [label, label]}", "output.columns: label is named twice"),
        ("output: {write_back: {}}", "output.write_back: needs a name"),
        ("run: {name: ../x}", "run.name: ../x is no run name"),
        ("run: {name: ..}", "run.name: .. is no run name"),
        ("run: {dir: 'runs/{nam}'}", "run.dir: {nam} is not known here; {name} is filled in"),
        ("run: {resume: yes}", "run.resume: yes is not one of auto, never, require"),
        ("run: {accept_not_converged: yes}", "needs true or false, got yes"),
        ("checkpoint: {every: 60}", "needs a time such as 60s, 5m or 2h, got 60; write 60s"),
        ("checkpoint: {every: 0 passes}", 'or a number of passes such as "10 passes"'),
        ("cluster: {memory_limit: 16G}", "needs a size such as 16GiB or 4GB, got 16G"),
        ("select: {held_out: 1.0}", "1.0 is out of range; it must be above 0 and below 1"),
        ("report: {features: [[a]]}", "report.features[0]: needs two columns"),
        (
            "select: {criterion: BIC}",
            "BIC is not one of bic, aic, icl, icl_map, held_out, stability.",
        ),
        ("version: 0", "version: 0 is out of range"),
        ("units:x: 3", "no such key; a space is missing after the colon"),
        ("cluster: {security: {ca: a}}", "cluster.security.cert: required"),
    ],
)
def test_wrong_values(text, said):
    got = message(GOOD + text)
    assert got.startswith("config gaia.yaml:3: ")
    assert said in got


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("random_state: true", "needs a whole number such as 5, got true"),
        ("n_init: 010", "needs a whole number such as 5, got 010"),
        ("tol: .nan", "needs a finite number such as 0.001 or 1e-3, got .nan"),
        ("tol: -1", "-1 is out of range; it must be at least 0"),
        ("max_iter: 0", "0 is out of range; it must be at least 1"),
        ("random_state: null", "needs a whole number such as 5, got null"),
        ("covariance_type: []", "the list is empty"),
        ("covariance_type: [full, ful]", "ful is not one of full, tied, diag, spherical. Did you"),
        ("weights: [0.5, 0.4]", "the weights sum to 0.9; they must sum to 1"),
        ("weights: heavy", "heavy is none of free, equal"),
        ("background: {x: [1, 0]}", "[1, 0] is empty"),
    ],
)
def test_wrong_values_of_the_model(text, said):
    got = message(f"source: {{path: x}}\nmodel:\n  n_components: 3\n  {text}\n")
    assert got.startswith("config gaia.yaml:4: model.")
    assert said in got


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file():
    text = (
        "source:\n  obsm: X\nmodel:\n  tol: abc\n  n_init: true\n  frozen: {0: [mean]}\n"
        "select: {rule: one_standard_error}\ntransform: [pca: x]\nnothing: 1\n"
    )
    lines = message(text, "cluster.cache=disk").splitlines()
    places = [line.partition(": ")[0] for line in lines]
    assert places[0] == "config gaia.yaml:1"  # source.path
    assert places[1] == "config gaia.yaml:2"
    assert [line.split(": ")[1] for line in lines[:-1]] == [
        "source.path",
        "source.obsm",
        "model.n_components",
        "model.tol",
        "model.n_init",
        "model.frozen",
        "select.rule",
        "transform[0].pca",
        "nothing",
    ]
    assert lines[-1].startswith("--set cluster.cache=disk: disk is not one of auto")


def test_a_section_of_the_wrong_shape_is_told_once():
    got = message("source: 5\nmodel: {n_components: 3}\n")
    assert got == "config gaia.yaml:1: source: needs key: value pairs, got 5"


def test_duplicates_are_told_with_the_rest():
    got = message("source: {path: x}\nmodel:\n  n_components: 3\n  n_components: 4\n  tol: x\n")
    first, second = got.splitlines()
    assert first == (
        "config gaia.yaml:3: model.n_components: given twice, in line 3 and in line 4; keep one"
    )
    assert second.startswith("config gaia.yaml:5: model.tol: ")


def test_a_newer_version_is_the_only_thing_told():
    got = message("version: 2\nwhatever: [1]\n")
    said = "version: 2 is newer than this program reads (1); update gmm-dask"
    assert got == f"config gaia.yaml:1: {said}"


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "5"])
def test_a_file_without_sections(text):
    assert "needs sections such as source: and model:" in message(text)


def test_an_empty_file_names_what_is_required():
    first, second = message("").splitlines()
    assert first.startswith("config gaia.yaml: source.path: required: the file")
    assert second.startswith("config gaia.yaml: model.n_components: required: a number")


def test_a_long_list_is_cut():
    keys = "".join(f"zz{n}: 1\n" for n in range(80))
    lines = message(GOOD + keys).splitlines()
    assert len(lines) == 51
    assert lines[-1] == "... and 30 more"


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="a folder"):
        load(tmp_path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"source:\n  path: caf\xe9\n")
    with pytest.raises(ConfigError, match=r"latin.yaml:2: not UTF-8"):
        load(latin)
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * 1_000_001)
    with pytest.raises(ConfigError, match="larger than 1000000 bytes"):
        load(large)
    with pytest.raises(ConfigError, match="cannot be read"):
        load("a\0b")


def test_a_file_is_loaded_with_its_overrides(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(GOOD, encoding="utf-8")
    values = load(path, ["model.n_components=4..6"])
    assert values.run.name == "small"
    assert values.model.n_components == (4, 5, 6)
