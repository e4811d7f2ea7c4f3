"""Turns LLVM text into functions that can be called, and keeps the machine code on disk.

A module is known by a digest of its text, the processor and the compiler, so nothing stale can be
loaded. Machine code is written whole under its final name by renaming, so that processes which
start together may all compile (some 50 ms) and all write, but never read half a file. Without a
writable cache every process compiles for itself. Only keys travel between processes.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import llvmlite
from llvmlite import binding as llvm

CACHE_VARIABLE = "GMM_DASK_CACHE"
DIGEST = 32

_lock = Lock()
_engines: list[Any] = []


def cache_folder() -> Path:
    """Return where machine code is kept: GMM_DASK_CACHE, or the platform's cache of the user."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "gmm-dask"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home()) / "gmm-dask" / "cache"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gmm-dask"


@cache
def processor() -> tuple[str, str]:
    """Return LLVM's name and features of this machine's processor."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


@cache
def vector_registers() -> int:
    """Return how many vectors of eight float64 the processor's registers hold, less a few."""
    features = processor()[1].split(",")
    return 28 if "+avx512f" in features else 8 if "+avx2" in features else 6


def target(features: str | None = None) -> Any:
    """Return LLVM's description of this machine (of one with other features, for tests)."""
    name, own = processor()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=name if features is None else "", features=own if features is None else features,
        opt=3, jit=True,
    )  # fmt: skip


def compile_text(text: str, features: str | None = None) -> bytes:
    """Return the machine code (an object file) of LLVM text.

    The text says all: no optimisation passes run before the selection of instructions.
    """
    parsed = llvm.parse_assembly(text)
    parsed.verify()
    code: bytes = target(features).emit_object(parsed)
    return code


def digest_of(text: str) -> str:
    """Return what names the machine code of a text on this machine."""
    versions = (llvmlite.__version__, *llvm.llvm_version_info, llvm.get_default_triple())
    parts = (text, *processor(), *map(str, versions))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def read_cached(path: Path) -> bytes | None:
    """Return machine code from the cache; None if absent, damaged or another user's."""
    with suppress(OSError):
        if hasattr(os, "getuid") and path.stat().st_uid not in (os.getuid(), 0):
            return None
        data = path.read_bytes()
        if hashlib.sha256(data[DIGEST:]).digest() == data[:DIGEST]:
            return data[DIGEST:]
    return None


def write_cached(path: Path, code: bytes) -> None:
    """Keep machine code, whole or not at all; an unwritable cache is no error."""
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(code).digest() + code)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise


def machine_code(text: str) -> bytes:
    """Return the machine code of a text, from the cache or freshly made."""
    path = cache_folder() / f"{digest_of(text)}.o"
    code = read_cached(path)
    if code is None:
        code = compile_text(text)
        write_cached(path, code)
    return code


def load(code: bytes, name: str) -> Callable[[int], None]:
    """Return the function `name` of an object file; it takes an address and releases the GIL.

    The function stays valid for the life of the process.
    """
    with _lock:
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target())
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        _engines.append(engine)
        address = engine.get_function_address(name)
    function: Callable[[int], None] = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)
    return function
