"""Configurations that cannot be read or mean nothing, as files and as words of the command line."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import strategies as st

from pipeline.config import Config
from pipeline.config.words import known_keys

GOOD: dict[str, Any] = {"source": {"path": "rows.csv"}, "model": {"n_components": 2}}
KEYS = sorted({part for path in known_keys(Config) for part in path})
PATHS = sorted(".".join(path) for path in known_keys(Config))
ROWS = "a,b\n" + "\n".join(f"{i % 7}.5,{i % 3}.25" for i in range(24))

BOMB = "a: &a [x]\n" + "".join(
    f"{c}: &{c} [{', '.join([f'*{p}'] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
)
FILES = [
    b"",
    b"\xff\xfe\x00",
    b"\0" * 100,
    b"\x89PNG\r\n",
    bytes(range(256)),
    "\ufeff".encode() * 3,
    b"source: {path: rows.csv}\nmodel: {n_components: 2}\n\xff",
    json.dumps(GOOD).encode("utf-16"),
    b"- a\n- b\n",
    b"null",
    b"42",
    b"source",
    b"source: model: x",
    b"source:\n\tpath: rows.csv",
    b"source: {path: rows.csv\nmodel: {n_components: 2}",
    b"--- \nsource: {}\n---\nmodel: {}\n",
    b"%YAML 9.9\n---\nsource: {}",
    BOMB.encode(),
    b"a: &a\n  b: *a\n",
    b"<<: *x",
    b"[" * 1000,
    b"{" * 1000,
    b"- " * 5000,
    b"a: " * 3000,
    b"? [complex, key]\n: 1\n",
    b"!!python/object/apply:os.system ['touch hacked']",
    b"source: !!python/name:os.system\nmodel: {n_components: 2}",
    b"source: !!binary aGVsbG8=\nmodel: {n_components: !!int 2}",
    b"source: {path: rows.csv}\nsource: {path: other.csv}\nmodel: {n_components: 2}",
    b"x" * 1_100_000,
    b"a: '" + b"y" * 200_000,
    b"version: 2\n" + json.dumps(GOOD).encode(),
    b"version: 1e99\n" + json.dumps(GOOD).encode(),
    b"{1: 2, [3]: 4}",
    b"source: &x {path: *x}",
    b'"source\\u0000": 1',
    b"\xed\xa0\x80: 1",
]
HUGE = ["9" * 400, "-1", "0", "1e400", ".inf", ".nan", "0x10", "1_000", "1:30", "true", "2**20"]
HOSTILE = [
    *(
        "../../../etc/x",
        "/etc/passwd",
        "a\0b",
        "\u202ex",
        "x" * 300,
        "CON",
        "-rf",
        "~root/x",
        "$HOME",
    ),
    *(
        "{dir}",
        "{name}{name}",
        "{0}",
        "%s",
        "file:///etc/passwd",
        "http://127.0.0.1:1/x",
        "s3://",
        "://",
    ),
    *(
        "ftp://user:hunter2@127.0.0.1:1/x",
        "env:",
        "env:NO_SUCH_NAME",
        "builtin:",
        "builtin:../x",
        "\n",
    ),
]

scalars = st.one_of(
    st.sampled_from([*HUGE, *HOSTILE]),
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=10),
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=6), inner, max_size=3),
    ),
    max_leaves=6,
)


@st.composite
def bad_files(draw: Any) -> bytes:
    """The bytes of a file that is no configuration, or one with bytes changed."""
    good = yaml.safe_dump(GOOD).encode()
    if draw(st.booleans()):
        return draw(st.sampled_from(FILES))
    at = draw(st.integers(0, len(good) - 1))
    put = draw(
        st.binary(min_size=1, max_size=6) | st.sampled_from([b"\t", b": ", b"- ", b"&", b"*"])
    )
    return good[:at] + put + good[at + draw(st.integers(0, 3)) :]


@st.composite
def bad_settings(draw: Any) -> dict[str, Any]:
    """A configuration with one to three settings that may be anything, or have no meaning."""
    whole: dict[str, Any] = json.loads(json.dumps(GOOD))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(PATHS)).split(".")
        if draw(st.booleans()):
            path[-1] = draw(st.sampled_from(["n_component", "obsm", "", "<<", *KEYS]))
        node = whole
        for part in path[:-1]:
            inner = node.get(part)
            node[part] = node = inner if isinstance(inner, dict) else {}
        node[path[-1]] = draw(anything)
    return whole


overrides = st.one_of(
    st.tuples(
        st.sampled_from(PATHS), anything.map(lambda v: yaml.safe_dump(v, width=9999)[:200])
    ).map("=".join),
    st.sampled_from(
        ["", "=", "a", "source", "source=", ".=1", "a..b=1", "model.n_components", "=3"]
    ),
    st.text(max_size=20),
)

TARGETS = [
    *("", ".", "..", "/", "/dev/null", "/dev/zero", "no.yaml", "no/where", "~", "*", "x" * 300),
    *("a\0b", "\ud800", "rows.csv", "folder", "locked.yaml", "loop", "http://127.0.0.1:1/c.yaml"),
    *("c.yaml/c", "\u00e9.yaml", "--", "/proc/self/mem", "/proc/self/environ"),
]
