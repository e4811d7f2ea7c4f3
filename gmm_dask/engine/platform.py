"""What the bits of a result rest on besides data and settings: software, processor, BLAS.

Facts are flat: a name and a word. They are compared between workers, and between a checkpoint and
whoever goes on from it. Where one differs, a fit agrees to rounding instead of bit for bit.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import platform
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from gmm_dask.version import __version__

Facts = dict[str, str]

PACKAGES = (
    *("numpy", "scipy", "llvmlite", "zarr", "dask", "distributed", "pyarrow", "scikit-learn"),
)
OWN = ("gmm_dask", "pipeline")
"""Packages whose code workers run; the second need not be installed."""
STRICT = ("python", *OWN, *(f"code of {package}" for package in OWN))
"""Where these differ, tasks may fail to unpickle or do something else: it is an error."""
FOR_PEOPLE = ("CPU",)
"""Recorded, but decides nothing: the family of the processor does."""
DIGITS = 12


def platform_facts() -> Facts:
    """Return what results of this process rest on, as far as this room knows it.

    `gmm_dask.machine_facts` adds the family of the processor and the width of its vectors.

    Returns
    -------
    dict
        ``python``, the versions of `PACKAGES`, ``gmm_dask``, digests of the own packages' source
        files, ``CPU`` (its model) and ``BLAS`` (each with its version and family of kernels).
    """
    codes = {f"code of {package}": code for package in OWN if (code := code_digest(package))}
    return {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "gmm_dask": __version__,
        **codes,
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "CPU": cpu_model(),
        "BLAS": blas(),
    }


@cache
def code_digest(package: str) -> str:
    """Return a digest of a package's Python files as they are when first asked; "" without it.

    Two installations may call themselves by one version and hold different code: a clone with
    changes, a branch. Names and contents count; times, folders and compiled files do not. A process
    that imported a module before its file was changed is not told apart.
    """
    if importlib.util.find_spec(package) is None:
        return ""
    total = hashlib.sha256()
    for name, item in sorted(_sources(files(package), ""), key=lambda pair: pair[0]):
        total.update(f"{name}\0{hashlib.sha256(item.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:DIGITS]


def _sources(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for item in folder.iterdir():
        if item.is_dir():
            yield from _sources(item, f"{prefix}{item.name}/")
        elif item.name.endswith(".py"):
            yield prefix + item.name, item


def cpu_model() -> str:
    """Return the model of the CPU, as people call it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def blas() -> str:
    """Return the BLAS libraries of NumPy and SciPy: name, version, and the kernels they chose."""
    # each brings its own, and either may not be loaded yet: what is told must not depend on that
    import scipy.linalg  # noqa: F401

    return together(_blas(lib) for lib in threadpool_info() if lib["user_api"] == "blas")


def _blas(lib: Mapping[str, Any]) -> str:
    parts = (lib["internal_api"], lib.get("version"), lib.get("architecture"))
    return " ".join(str(part) for part in parts if part)


def together(words: Iterator[str] | Sequence[str]) -> str:
    """Return the different ones of some words as one, in a fixed order."""
    return " and ".join(sorted(set(words))) or "none found"


def joined(all_facts: Sequence[Mapping[str, str]]) -> Facts:
    """Return the facts of several processes as one: every kind found, by name.

    They do not depend on how many processes there are, nor on their order.
    """
    names = dict.fromkeys(name for facts in all_facts for name in facts)
    return {name: together([facts.get(name, "missing") for facts in all_facts]) for name in names}


def differing(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Return ``name: before then, now now`` for each fact on which bits rest that differs."""
    names = [name for name in dict.fromkeys((*before, *now)) if name not in FOR_PEOPLE]
    pairs = [(name, before.get(name, "not there"), now.get(name, "not there")) for name in names]
    return tuple(f"{name}: {old} then, {new} now" for name, old, new in pairs if old != new)
