"""SHA-256 of files and folders, so that an output which changed is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

THREADS = 4
# What Snakemake puts into a folder that is declared as an output: no part of what was written.
FOREIGN = ".snakemake_timestamp"


def sha256_of(path: str | Path) -> str:
    """Return the SHA-256 (hex) of a file, or of the names and contents of all files in a folder.

    A folder's digest does not depend on times, owners or the order of its entries; empty folders
    do not count.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    FileNotFoundError
        If nothing is there.
    """
    path = Path(path)
    if not path.is_dir():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    names = files_below(path)
    return combined(dict(zip(names, sha256_all(path, names), strict=True)))


def sha256_all(folder: Path, names: Iterable[str]) -> list[str]:
    """Return the SHA-256 (hex) of several files of a folder, read on a few threads."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(sha256_of, [folder / name for name in names]))


def combined(digests: Mapping[str, str]) -> str:
    """Return the digest of a folder from those of its files (relative names with ``/``)."""
    total = hashlib.sha256()
    for name in sorted(digests):
        # a name cannot hold NUL, so no two folders give the same text
        total.update(f"{name}\0{digests[name]}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def files_below(folder: Path) -> list[str]:
    """Return the sorted relative names of all files in a folder and its folders.

    The time stamp that Snakemake adds at the top does not count.
    """
    found = (path for path in folder.rglob("*") if not path.is_dir() and path != folder / FOREIGN)
    return sorted(path.relative_to(folder).as_posix() for path in found)
