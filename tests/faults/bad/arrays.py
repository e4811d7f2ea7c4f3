"""Arrays of types and shapes that are no rows of real numbers, as npy files and zarr stores."""

from __future__ import annotations

import io
import json
import pickle
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.faults.bad.case import Array, Case, npy_bytes, zarr_of
from tests.faults.bad.values import good_rows

DATA = (3,)


@st.composite
def no_numbers(draw: Any) -> Case:
    """An npy file of another type than real numbers."""
    n, D = draw(st.integers(1, 40)), draw(st.integers(1, 4))
    rows = good_rows(n, D, draw(st.integers(0, 99)))
    made = {
        "bool": rows > 0,
        "complex": rows + 1j,
        "complex64": (rows + 1j).astype("c8"),
        "text": rows.astype("U9"),
        "bytes": rows.astype("S9"),
        "dates": rows.astype("M8[s]"),
        "durations": rows.astype("m8[s]"),
        "void": np.zeros((n, D), "V8"),
        "fields": np.zeros((n, D), [("a", "f8"), ("b", "i4")]),
        "objects": rows.astype(object),
        "nested": np.zeros((n, D), [("a", "f8", 3)]),
    }
    kind = draw(st.sampled_from(sorted(made)))
    raw = npy_bytes(made[kind])
    return Case(f"npy of {kind}", {"rows.npy": raw}, {"path": "rows.npy"}, {}, DATA, "rows.npy")


@st.composite
def no_matrix(draw: Any) -> Case:
    """An npy file or zarr array of another shape than (N, D)."""
    shape = draw(st.lists(st.integers(0, 5), max_size=5).filter(lambda s: len(s) != 2 or 0 in s))
    values = np.arange(float(np.prod(shape))).reshape(shape)
    raw = npy_bytes(values)
    return Case(f"npy of shape {shape}", {"rows.npy": raw}, {"path": "rows.npy"}, {}, DATA, "shape")


@st.composite
def integers(draw: Any) -> Case:
    """An integer that float64 cannot hold: told with its column and row."""
    n, D = draw(st.integers(2, 60)), draw(st.integers(1, 4))
    kind = draw(st.sampled_from(["i8", "u8", ">i8", ">u8"]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    rows = rng.integers(0, 1000, (n, D)).astype(kind)
    row, j = draw(st.integers(0, n - 1)), draw(st.integers(0, D - 1))
    rows[row, j] = value = draw(st.integers(2**53 + 1, 2**63 - 1))
    told = rf"x{j} holds {value} in row {row}, an integer beyond 2\^53"
    files = {"rows.npy": npy_bytes(rows)}
    return Case(f"{kind} {value} in row {row}", files, {"path": "rows.npy"}, {}, DATA, told)


HEADERS = [
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 2), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000, 2), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 10000000000000000000000), }",
    "{'descr': '<f8', 'fortran_order': 'no', 'shape': (20, 2), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (20.0, 2), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (True, 2), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': 20, }",
    "{'descr': '<f8', 'shape': (20, 2), }",
    "{'descr': 'O', 'fortran_order': False, 'shape': (20, 2), }",
    "{'descr': '<q9', 'fortran_order': False, 'shape': (20, 2), }",
    "{'descr': [('a', 'f8')], 'fortran_order': False, 'shape': (20, 2), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (20, 2), 'more': 1}",
    "__import__('os').system('touch hacked')",
    "[" * 200,
    "(" * 5000,
    "{'descr': " + "9" * 4000 + "}",
    "\0\0\0",
    "",
]


@st.composite
def headers(draw: Any) -> Case:
    """An npy file whose header says what cannot be."""
    text = draw(st.sampled_from(HEADERS) | st.text(max_size=40)).encode()
    version = draw(st.sampled_from([(1, 0), (2, 0), (3, 0), (0, 0), (9, 9)]))
    size = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    raw = b"\x93NUMPY" + bytes(version) + size + text + good_rows(20, 2, 0).tobytes()
    return Case(
        f"npy {version} with header {text[:60]!r}", {"rows.npy": raw}, {"path": "rows.npy"}, {}
    )


def archive() -> bytes:
    """Return an npz archive."""
    stream = io.BytesIO()
    np.savez(stream, rows=good_rows(20, 2, 0))
    return stream.getvalue()


@st.composite
def no_arrays(draw: Any) -> Case:
    """A file that is called npy, or parquet, or zarr, and is something else."""
    contents = [b"", b"\n", b"x,y\n1,2\n", pickle.dumps([1, 2]), archive(), b"\x93NUMPY", b"PAR1"]
    contents += [b"PAR1" * 4, b"\x89HDF\r\n\x1a\n", b"\x1f\x8b\x08", b"\0" * 4096, b"{}", b"null"]
    raw = draw(st.sampled_from(contents) | st.binary(max_size=300))
    name = draw(st.sampled_from(["r.npy", "r.parquet", "r.h5ad", "r.zarr/zarr.json", "r.zarr.zip"]))
    path = name.partition("/")[0]
    return Case(f"{name} is {raw[:40]!r}", {name: raw}, {"path": path}, {}, DATA, "r[.]")


WRONG: dict[str, list[Any]] = {
    "zarr_format": [1, 4, "3", None, -3],
    "node_type": ["group", "", None, "table"],
    "shape": [[], [0, 2], [-1, 2], [2**62, 2], [20], [4, 5, 2], ["20", 2], None, [20.5, 2]],
    "data_type": ["bool", "complex128", "string", "object", "", None, "int8x", "r16", {"name": 1}],
    "chunk_grid": [
        None,
        {},
        {"name": "rectangular"},
        {"name": "regular", "configuration": {"chunk_shape": [0, 2]}},
        {"name": "regular", "configuration": {"chunk_shape": [-1, 2]}},
        {"name": "regular", "configuration": {"chunk_shape": [17]}},
        {"name": "regular", "configuration": {"chunk_shape": [2**40, 2]}},
        {"name": "regular", "configuration": {"chunk_shape": ["17", 2]}},
    ],
    "chunk_key_encoding": [None, {"name": "odd"}, {"name": "default", "configuration": 3}],
    "fill_value": ["NaN", None, "zero", {}, 1e999, []],
    "codecs": [None, [], [{}], [{"name": "zip9"}], [{"name": "gzip"}], "bytes"],
    "attributes": [3, "x", []],
}


@st.composite
def metadata(draw: Any) -> Case:
    """A zarr array whose metadata say what cannot be, or what the chunks do not hold."""
    files = zarr_of(good_rows(20, 2, draw(st.integers(0, 9))))
    meta = json.loads(files["rows.zarr/zarr.json"])
    key = draw(st.sampled_from(sorted(WRONG)))
    value = draw(st.sampled_from(WRONG[key]))
    if draw(st.booleans()) or value is None:
        meta[key] = value
    else:
        meta[key] = draw(_json)
    files["rows.zarr/zarr.json"] = json.dumps(meta).encode()
    return Case(f"zarr with {key} {meta[key]!r}", files, {"path": "rows.zarr"}, {})


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "configuration", "x"]), inner, max_size=3)
    ),
    max_leaves=4,
)


@st.composite
def chunks(draw: Any) -> Case:
    """A zarr array of which chunks are missing, empty, cut or too long."""
    files = zarr_of(good_rows(60, draw(st.integers(1, 3)), draw(st.integers(0, 9))))
    names = sorted(name for name in files if "/c/" in name)
    hit = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    how = draw(st.sampled_from(["missing", "empty", "cut", "long"]))
    for name in hit:
        raw = files.pop(name)
        if how != "missing":
            cut = draw(st.integers(1, len(raw) - 1))
            files[name] = {"empty": b"", "cut": raw[:cut], "long": raw + b"x"}[how]
    told = "rows.zarr" if how == "missing" else "chunk|rows.zarr"
    return Case(f"zarr with {how} chunks {hit}", files, {"path": "rows.zarr"}, {}, DATA, told)


def group_of(arrays: dict[str, Array]) -> dict[str, bytes]:
    """Return a zarr group of some arrays."""
    group = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}).encode()
    files = {"rows.zarr/zarr.json": group}
    for name, rows in arrays.items():
        inner = zarr_of(rows)
        files |= {key.replace("rows.zarr/", f"rows.zarr/{name}/"): v for key, v in inner.items()}
    return files


@st.composite
def keys(draw: Any) -> Case:
    """A zarr group with several arrays and no key, or a key that is not there."""
    arrays = {name: good_rows(20, 2, 0) for name in draw(st.sampled_from(["", "a", "ab", "abc"]))}
    key = draw(
        st.sampled_from([None, "d", "../a", "/", "", ".", "a/b", "zarr.json", "c", "\u00fc"])
    )
    known = key in arrays or (key is None and len(arrays) == 1)
    codes = (0, 5) if known else (2, 3)
    source = {"path": "rows.zarr", "key": key}
    return Case(f"zarr of {list(arrays)} with key {key!r}", group_of(arrays), source, {}, codes)


STRATEGIES = {
    "no numbers": no_numbers(),
    "no matrix": no_matrix(),
    "integers": integers(),
    "headers": headers(),
    "no arrays": no_arrays(),
    "metadata": metadata(),
    "chunks": chunks(),
    "keys": keys(),
}
"""All of these, for the tests."""
