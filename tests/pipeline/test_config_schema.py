"""Every documented key and default; the examples of the interface; the JSON schema."""

from __future__ import annotations

import json

import pytest

from pipeline.config import Config, Every, from_resolved, loads
from pipeline.config.model_sections import ModelSection
from pipeline.config.run_sections import DiagnoseSection
from pipeline.config.words import known_keys

SMALLEST = "source:\n  path: atlas.h5ad\nmodel:\n  n_components: 8\n"

EVERY_KEY = """
version: 1
run:
  name: atlas
  dir: runs/{name}
  resume: auto
  accept_not_converged: false
source:
  path: atlas.h5ad
  format: auto
  key: null
  columns: null
  units: {}
  filter: null
  id: null
  carry: []
  group: null
  sample_weight: null
  missing_values: []
  noise: null
  limit: null
  storage_options: {}
transform: []
model:
  n_components: 8
  covariance_type: full
  n_init: 5
  init_params: auto
  tol: 1e-6
  max_iter: 1000
  reg_covar: null
  random_state: 0
  missing: error
  compute_dtype: float64
  weights: free
  weights_by: all
  background: none
  circular: {}
  frozen: {}
  start_from: null
  assignment: soft
  components: null
  copies: null
  weight_tail: null
  linkage: null
select: {criterion: bic, rule: best, held_out: 0.1}
checkpoint: {every: 60s, keep: 3, path: null}
cluster:
  type: local
  address: null
  scheduler_file: null
  n_workers: null
  threads_per_worker: null
  memory_limit: auto
  wait_for_workers: 1
  timeout: 5m
  cache: auto
  security: null
  allow_insecure: false
  options: {}
output:
  columns: [label, probability, log_density]
  format: parquet
  path: null
  write_back: null
report: {title: null, features: null, colour_by: [], path: null}
diagnose:
  standard_errors: true
  overlap: true
  tails: true
  ambiguous: 0.9
  concentration: null
sample: false
"""


def config(text: str) -> Config:
    return loads(SMALLEST + text, "configs/atlas.yaml")


def test_every_documented_key_is_accepted_with_its_default():
    written, implied = loads(EVERY_KEY, "atlas.yaml"), loads(SMALLEST, "atlas.yaml")
    assert written.resolved() == implied.resolved()


def test_the_list_above_names_every_key_of_the_schema():
    named = loads(EVERY_KEY, "atlas.yaml").resolved()
    below_null = ("noise", "security", "write_back")
    for path in known_keys(Config):
        if path[0] in ("transform", "diagnose", "sample") or any(
            part in below_null for part in path[1:-1]
        ):
            continue
        place = named
        for part in path:
            assert part in place, path
            place = place[part]


def test_defaults_as_values():
    values = loads(SMALLEST, "configs/atlas.yaml")
    assert values.run.name == "atlas"
    assert values.run.dir == "runs/atlas"
    assert values.source.path == ("atlas.h5ad",)
    assert values.model.n_components == (8,)
    assert values.model.covariance_type == ("full",)
    assert values.model.tol == 1e-6
    assert values.checkpoint.every == Every(60.0, None)
    assert values.checkpoint.path == "runs/atlas/checkpoints"
    assert values.cluster.timeout == 300.0
    assert values.output is not False
    assert values.output.path == "runs/atlas/assignments"
    assert values.report is not False
    assert values.report.path == "runs/atlas/report.html"
    assert values.diagnose == DiagnoseSection()


def test_diagnose_has_the_documented_defaults():
    written = DiagnoseSection().model_dump()
    assert written == {
        "standard_errors": True,
        "overlap": True,
        "tails": True,
        "ambiguous": 0.9,
        "concentration": None,
    }


def test_traps_of_yaml_are_not_sprung():
    values = loads(
        "run: {name: 2026-11-20}\n"
        "source: {path: x.csv, columns: [on, NO, 1E5, 1.50, 010, 7], id: 2026}\n"
        "model: {n_components: 3, tol: 1e-4, reg_covar: 1}\n"
        "cluster: {options: {walltime: 6:00:00, cores: 4, flag: true, share: 0.5, empty: null}}\n",
        "f.yaml",
    )
    assert values.run.name == "2026-11-20"
    assert values.source.columns == ("on", "NO", "1E5", "1.50", "010", "7")
    assert values.source.id == ("2026",)
    assert values.model.tol == 1e-4
    assert values.model.reg_covar == 1.0
    assert values.cluster.options == {
        "walltime": "6:00:00",
        "cores": 4,
        "flag": True,
        "share": 0.5,
        "empty": None,
    }
    assert type(values.cluster.options["cores"]) is int


def test_transform_is_an_ordered_list_of_steps():
    text = "transform: [pca: 20, standardize, arcsinh: {columns: [a], cofactor: 150}, log]\n"
    steps = config(text.replace("pca: 20, ", "") + "").transform
    assert [step.name for step in steps] == ["standardize", "arcsinh", "log"]
    assert steps[1].columns == ("a",)
    assert steps[1].cofactor == 150.0
    assert steps[2].columns is None
    (pca,) = config("transform:\n  - pca: 20\n").transform
    assert (pca.name, pca.n_components, pca.columns, pca.cofactor) == ("pca", 20, None, None)


def test_sections_can_be_switched_off():
    values = config("output: false\nreport: false\ndiagnose: false\n")
    assert (values.output, values.report, values.diagnose) == (False, False, False)
    assert values.resolved()["report"] is False


def test_empty_sections_are_default_ones():
    assert config("run:\nselect:\noutput:\nreport:\ncluster:\n").resolved() == config("").resolved()


@pytest.mark.parametrize(
    ("text", "every"),
    [("10 passes", Every(None, 10)), ("1 pass", Every(None, 1)), ("2h", Every(7200.0, None))],
)
def test_checkpoints_by_time_or_by_passes(text, every):
    assert config(f"checkpoint: {{every: {text}}}").checkpoint.every == every


def test_names_and_folders_are_substituted():
    values = config(
        "run: {name: gaia, dir: '/scratch/{name}/out'}\n"
        "checkpoint: {path: 's3://b/{name}'}\noutput: {path: '{dir}/a'}\nreport: {path: r.html}\n"
    )
    assert values.run.dir == "/scratch/gaia/out"
    assert values.checkpoint.path == "s3://b/gaia"
    assert values.output is not False
    assert values.output.path == "/scratch/gaia/out/a"
    assert values.report is not False
    assert values.report.path == "r.html"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("configs/gaia.yaml", "gaia"),
        ("a b (2).yml", "a-b-2"),
        ("données.yaml", "donn-es"),
        (".yaml", ".yaml"),
        ("..", "run"),
        ("日本.yaml", "run"),
    ],
)
def test_the_name_of_a_run_comes_from_its_file(file, name):
    assert loads(SMALLEST, file).run.name == name


@pytest.mark.parametrize("word", ["kmeans||", "k-means||"])
def test_both_spellings_of_the_scalable_start(word):
    values = loads(SMALLEST + f"  init_params: {word}\n", "f")
    assert values.model.init_params == "k-means||"


def test_one_word_stands_for_a_list_of_one():
    values = loads(
        "source: {path: [a.csv, b.csv], columns: x, id: [p, q]}\n"
        "model: {n_components: [4, 8], covariance_type: [diag, full]}\noutput: {columns: label}\n",
        "f",
    )
    assert values.source.path == ("a.csv", "b.csv")
    assert values.source.columns == ("x",)
    assert values.model.covariance_type == ("diag", "full")
    assert values.output is not False
    assert values.output.columns == ("label",)


def test_values_are_frozen():
    values = config("")
    with pytest.raises(Exception, match="frozen"):
        values.model.n_init = 3


def test_the_json_schema_speaks_of_every_key():
    schema = Config.json_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["required"] == ["source", "model"]
    assert schema["additionalProperties"] is False
    model = schema["$defs"]["ModelSection"]["properties"]
    assert set(model) == set(ModelSection.model_fields)
    assert model["n_init"]["minimum"] == 1
    assert model["covariance_type"]["default"] == "full"
    assert schema["$defs"]["CheckpointSection"]["properties"]["every"]["default"] == "60s"
    assert all(item.get("description") for item in model.values())


def test_the_resolved_form_is_read_back_to_the_same_values():
    values = loads(
        "source: {path: x.csv, columns: [a, b, c], units: {a: m}, id: k, limit: 10}\n"
        "transform: [arcsinh: {columns: a, cofactor: 5}, pca: 2]\n"
        "model: {n_components: 10..60 by 5, covariance_type: [diag, full], tol: 1e-7}\n"
        "checkpoint: {every: 10 passes}\n"
        "cluster: {memory_limit: 1.5GiB, timeout: 90s, options: {a: [1, 2.5, x]}}\n"
        "output: {write_back: {obs: gmm}}\nreport: {features: [[a, b]]}\n",
        "f.yaml",
    )
    stored = json.loads(json.dumps(values.resolved(), allow_nan=False))
    assert from_resolved(stored) == values
