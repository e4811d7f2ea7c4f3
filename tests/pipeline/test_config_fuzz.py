"""Whatever stands in a file, the answer is a configuration or a ``ConfigError``."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gmm_dask.errors import ConfigError
from pipeline.config import Config, from_resolved, loads
from pipeline.config.words import known_keys

KEYS = sorted({part for path in known_keys(Config) for part in path})
PATHS = sorted(".".join(path) for path in known_keys(Config))
WORDS = ["null", "true", "no", "010", "1e-4", ".nan", "2..20", "2:20", "10 passes", "60s", "16GiB"]
WORDS += ["auto", "{name}", "{x}", "..", "'", '"', "&a", "*a", "!!str", "<<", "-", "?", "|", "a: b"]
WORDS += ["ddpcr", "uniform", "env:X", "builtin:digits", "s3://u:p@h/x", "\t", "\ud800", "\0", "%"]

scalars = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(str),
)
keys = st.one_of(st.sampled_from(KEYS), scalars)
flow = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(keys, inner, max_size=4).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
        ),
    ),
    max_leaves=12,
)
files = st.one_of(
    st.text(max_size=200),
    flow,
    st.lists(st.tuples(keys, flow), max_size=8).map(
        lambda rows: "\n".join(f"{key}: {value}" for key, value in rows)
    ),
)
overrides = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(PATHS), flow).map("=".join),
        st.text(max_size=30),
    ),
    max_size=4,
)


def attempt(text: str, sets: list[str]) -> None:
    try:
        config = loads(text, "f.yaml", sets)
    except ConfigError as error:
        # the sentence can be printed and stored wherever text can
        str(error).encode("utf-8")
        return
    stored = json.loads(json.dumps(config.resolved(), allow_nan=False))
    assert from_resolved(stored).resolved() == stored


@given(files, overrides)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_gives_a_configuration_or_a_config_error(text, sets):
    attempt(text, sets)


@given(overrides)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_override_of_a_good_file_does_too(sets):
    attempt("source: {path: x}\nmodel: {n_components: 3}\n", sets)


@given(st.sampled_from(PATHS), flow)
@settings(max_examples=400, deadline=None)
def test_any_value_of_any_key_does_too(path, value):
    attempt("source: {path: x}\nmodel: {n_components: 3}\n", [f"{path}={value}"])
