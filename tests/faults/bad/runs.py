"""A finished run whose files are damaged one at a time, and put back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.faults.bad.case import Array, csv_of, npy_bytes, parquet_bytes
from tests.faults.bad.damage import damaged
from tests.faults.bad.place import FINISHED, ask, write_config
from tests.faults.bad.tables import odd_columns, plain_table
from tests.faults.bad.values import good_rows


@dataclass(frozen=True)
class Finished:
    """A folder with one run in ``runs/c``, and the bytes of every file in it.

    Parameters
    ----------
    place : Path
    files : mapping of path below `place` to bytes
    """

    place: Path
    files: dict[str, bytes]

    @staticmethod
    def make(place: Path, cluster: dict[str, Any], **sections: Any) -> Finished:
        """Run to the end."""
        with chdir(place):
            Path("rows.parquet").write_bytes(parquet_bytes(plain_table(40)))
            source = {"path": "rows.parquet"}
            config = write_config(Path("c.yaml"), cluster, source=source, **sections)
            done = ask("run", config)
            assert done.code in FINISHED, done.err
        return Finished(place, _contents(place))

    @contextmanager
    def changed(self, changes: dict[str, bytes | None]) -> Iterator[None]:
        """Work in the folder with some files changed or gone; put all back afterwards."""
        with chdir(self.place):
            try:
                for name, content in changes.items():
                    Path(name).unlink() if content is None else Path(name).write_bytes(content)
                yield
            finally:
                self._put_back()

    def _put_back(self) -> None:
        now = _contents(self.place)
        for name in now.keys() - self.files.keys():
            Path(name).unlink()
        for name, content in self.files.items():
            if now.get(name) != content:
                Path(name).parent.mkdir(parents=True, exist_ok=True)
                Path(name).write_bytes(content)
        for folder in (Path("out"), Path(".out-scratch"), Path("runs/c/attempts")):
            shutil.rmtree(folder, ignore_errors=True)

    def names(self, *starts: str) -> list[str]:
        """Return the files whose path begins with one of some words."""
        return sorted(name for name in self.files if name.startswith(starts))


def _contents(place: Path) -> dict[str, bytes]:
    files = (path for path in place.rglob("*") if path.is_file())
    return {str(path.relative_to(place)): path.read_bytes() for path in files}


@st.composite
def any_damage(draw: Any, run: Finished, *starts: str) -> dict[str, bytes | None]:
    """One file of a run damaged or gone."""
    names = run.names(*starts)
    name = names[draw(st.integers(0, len(names) - 1))]
    raw = run.files[name]
    return {name: draw(st.none() | damaged(raw)) if raw else None}


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["../../x", "\0", "/dev/null", "x" * 5000, "finished", ""]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=4,
)


@st.composite
def edited(draw: Any, raw: bytes) -> Any:
    """A JSON document in which one value was replaced, or left out, or one put in."""
    whole = json.loads(raw)
    node, depth = whole, draw(st.integers(0, 5))
    while True:
        inner = [item for item in _items(node) if isinstance(item[1], dict | list) and item[1]]
        if not inner or not depth:
            break
        node, depth = inner[draw(st.integers(0, len(inner) - 1))][1], depth - 1
    keys = [key for key, _ in _items(node)]
    key = keys[draw(st.integers(0, len(keys) - 1))]
    how = draw(st.sampled_from(["replace", "replace", "replace", "leave out", "put in"]))
    if how == "leave out":
        del node[key]
    elif how == "put in" and isinstance(node, dict):
        node[draw(st.text(max_size=5))] = draw(anything)
    else:
        node[key] = draw(anything)
    return whole


def _items(node: Any) -> list[tuple[Any, Any]]:
    return list(node.items()) if isinstance(node, dict) else list(enumerate(node))


def _named(rows: Array, names: list[str]) -> bytes:
    """Return a text table with other column names."""
    (raw,) = csv_of(rows).values()
    return ",".join(names).encode() + raw[raw.index(b"\n") :]


def _holes(rows: Array, bad: float) -> Array:
    return np.where(np.arange(len(rows))[:, None] % 7 == 3, bad, rows)


NEW_ROWS: dict[str, Callable[[], tuple[str, bytes, str]]] = {
    "one column": lambda: ("n.csv", _named(good_rows(9, 1, 0), ["a"]), "has no b"),
    "other columns": lambda: ("n.csv", _named(good_rows(9, 2, 0), ["c", "d"]), "has no a"),
    "capitals": lambda: ("n.csv", _named(good_rows(9, 2, 0), ["A", "B"]), "has no a"),
    "no names": lambda: ("n.npy", npy_bytes(good_rows(9, 2, 0)), "has no a"),
    "three dimensions": lambda: ("n.npy", npy_bytes(np.zeros((3, 2, 2))), "shape"),
    "NaN": lambda: ("n.csv", _named(_holes(good_rows(9, 2, 0), np.nan), ["a", "b"]), "row 3"),
    "infinity": lambda: ("n.csv", _named(_holes(good_rows(9, 2, 0), np.inf), ["a", "b"]), "row 3"),
    "text": lambda: ("n.csv", b"a,b\n1,x\n2,y\n", "b holds text"),
    "no rows": lambda: ("n.parquet", parquet_bytes(plain_table(0)), "n[.]parquet"),
    "an empty file": lambda: ("n.csv", b"", "n[.]csv is empty"),
    "no file": lambda: ("n.csv", b"a,b\n", "n[.]csv"),
    "categories": lambda: _odd("categories"),
    "truths": lambda: _odd("truths"),
    "lists": lambda: _odd("lists"),
    "times": lambda: _odd("times"),
}


def _odd(kind: str) -> tuple[str, bytes, str]:
    table = plain_table(24, "a").append_column("b", odd_columns()[kind])
    return "n.parquet", parquet_bytes(table), "b holds"
