"""Which files a path means, on this machine or behind a URL, and what they are now."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote_plus

import fsspec

from pipeline.sources.trouble import (
    ConfigError,
    DataError,
    SourceChangedError,
    listed,
    nearest,
    translated,
)

ENV = "env:"
_STAMPS = ("ETag", "etag", "generation", "mtime", "LastModified", "last_modified", "created")
_LOGIN = re.compile(r"(?<=://)[^/@]+@")


def is_url(path: str) -> bool:
    """Return whether `path` goes through fsspec."""
    return "://" in path


def redacted(url: str) -> str:
    """Return a URL without login and query, either of which may hold a credential."""
    return _LOGIN.sub("", url).partition("?")[0] if is_url(url) else url


def resolved(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return storage options with every ``env:NAME`` read from the environment.

    Raises
    ------
    ConfigError
        If a variable is not set; its name is told, never a value.
    """
    return {key: _resolve(key, value) for key, value in options.items()}


def _resolve(key: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _resolve(f"{key}.{k}", v) for k, v in value.items()}
    if not isinstance(value, str) or not value.startswith(ENV):
        return value
    name = value[len(ENV) :]
    if name not in os.environ:
        raise ConfigError(
            f"source.storage_options.{key}: environment variable {name} is not set; "
            "export it on the driver and on every worker"
        )
    return os.environ[name]


def _secrets(url: str, options: Mapping[str, Any]) -> list[str]:
    """Return what must not be shown of a URL and its options, also as a library may quote it."""
    login = _LOGIN.search(url)
    found = [login.group()[:-1]] if login else []
    query = url.partition("?")[2] if is_url(url) else ""
    found += [text.partition(":")[2] for text in found]
    found += [query, *(pair.partition("=")[2] for pair in query.split("&"))]
    found += [unquote_plus(text) for text in found]
    # shorter words are regions and flags: blanking them would only blur the message
    return [text for text in dict.fromkeys((*found, *_texts(options))) if len(text) > 3]


def _texts(options: Mapping[str, Any]) -> Iterator[str]:
    for value in options.values():
        if isinstance(value, Mapping):
            yield from _texts(value)
        elif isinstance(value, str):
            yield os.environ.get(value[len(ENV) :], "") if value.startswith(ENV) else value


@dataclass(frozen=True)
class File:
    """One input file as it was when the source was opened; pickles as a recipe.

    Parameters
    ----------
    url : str
        Absolute local path, or fsspec URL. May hold a credential: show `shown` instead.
    size : int, bytes
    stamp : str
        Modification time [ns] or the store's entity tag.
    options : mapping
        Storage options, with ``env:NAME`` unresolved.
    """

    url: str = field(repr=False)
    size: int
    stamp: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_local(self) -> bool:
        """Whether the file system of this machine holds it."""
        return not is_url(self.url)

    @property
    def shown(self) -> str:
        """The path as it may be printed: relative where that is shorter, without credentials."""
        if not self.is_local:
            return redacted(self.url)
        relative = os.path.relpath(self.url)
        return self.url if relative.startswith("..") else relative

    @property
    def secrets(self) -> list[str]:
        """Strings that must not appear in messages."""
        return _secrets(self.url, self.options)

    def verify(self) -> None:
        """Raise SourceChangedError if size or time stamp differ from those at opening."""
        now = _stat(self.url, self.options)
        if (now.size, now.stamp) != (self.size, self.stamp):
            raise SourceChangedError(
                f"{self.shown}: changed while it was in use ({self.size} bytes before, "
                f"{now.size} now); start again with --fresh"
            )

    def open(self) -> BinaryIO:
        """Open for reading in binary."""
        if self.is_local:
            return Path(self.url).open("rb")
        system, path = _file_system(self.url, self.options)
        return cast("BinaryIO", system.open(path, "rb"))


def _file_system(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    settings = resolved(options)
    try:
        system, path = fsspec.core.url_to_fs(url, **settings)
    except (ValueError, ImportError) as error:
        text = str(error)
        for secret in sorted(_secrets(url, options), key=len, reverse=True):
            text = text.replace(secret, "***")
        raise ConfigError(f"source.path: {redacted(url)} cannot be opened: {text}") from None
    return system, path


def _stat(url: str, options: Mapping[str, Any]) -> File:
    if not is_url(url):
        with translated(url, "a file"):
            status = Path(url).stat()
        return File(url, status.st_size, str(status.st_mtime_ns), options)
    with translated(redacted(url), "a file", _secrets(url, options)):
        system, path = _file_system(url, options)
        info = system.info(path)
    stamp = next((str(info[name]) for name in _STAMPS if info.get(name) is not None), "")
    return File(url, int(info.get("size") or 0), stamp, options)


def find_files(
    paths: Sequence[str], options: Mapping[str, Any], suffixes: Sequence[str], what: str
) -> tuple[File, ...]:
    """Return the files that paths, folders, globs and URLs mean, each once, in sorted order.

    Parameters
    ----------
    paths : sequence of str
    options : mapping
        Storage options for fsspec.
    suffixes : sequence of str
        Endings that count inside a folder; a file named outright may have any.
    what : str
        Name of the format, for messages.

    Raises
    ------
    DataError
        If nothing is found; near names in the folder are told.
    """
    urls = [url for path in paths for url in _expand(path, options, suffixes, what)]
    # asked one by one, as what a listing says of a file may differ from what the file itself says
    with ThreadPoolExecutor(16) as pool:
        return tuple(pool.map(lambda url: _stat(url, options), dict.fromkeys(urls)))


def local_path(path: str) -> str:
    """Return an absolute local path, or the URL as it is."""
    if path.startswith("file://"):
        path = path.removeprefix("file://")
    return path if is_url(path) else str(Path(path).expanduser().absolute())


def _expand(path: str, options: Mapping[str, Any], suffixes: Sequence[str], what: str) -> list[str]:
    url = local_path(path)
    system, root = _file_system(url, options)
    with translated(redacted(url), what, _secrets(url, options)):
        if system.isfile(root):
            return [url]
        if system.isdir(root):
            return _inside(system, url, root, suffixes, what)
        found = system.glob(root, detail=True) if any(mark in root for mark in "*?[") else {}
    names = sorted(name for name, info in found.items() if info["type"] == "file")
    if not names:
        raise _missing(url, system, root)
    return [_full(system, url, name) for name in names]


def _inside(system: Any, url: str, root: str, suffixes: Sequence[str], what: str) -> list[str]:
    names = sorted(system.find(root))
    visible = [n for n in names if not any(p[0] in "._" for p in _below(n, root))]
    wanted = [name for name in visible if name.endswith(tuple(suffixes))]
    if wanted:
        return [_full(system, url, name) for name in wanted]
    there = listed([name.removeprefix(root).lstrip("/") for name in visible], "files")
    raise DataError(
        f"source.path: no {what} file ({', '.join(suffixes)}) in {redacted(url)}; it has {there}"
    )


def _below(name: str, root: str) -> list[str]:
    return [part for part in name.removeprefix(root).split("/") if part]


def _full(system: Any, url: str, name: str) -> str:
    if not is_url(url):
        return name
    full = str(system.unstrip_protocol(name))
    login = _LOGIN.search(url)
    return full.replace("://", f"://{login.group()}", 1) if login else full


def _missing(url: str, system: Any, root: str) -> DataError:
    shown, parent = redacted(url), root.rpartition("/")[0] or "/"
    if any(mark in root for mark in "*?["):
        return DataError(f"source.path: no file matches {shown}")
    with translated(shown, "a folder"):
        if not system.isdir(parent):
            return DataError(f"source.path: {shown}: no such file, nor its folder")
        names = [item.rstrip("/").rpartition("/")[2] for item in system.ls(parent, detail=False)]
    hint = nearest(root.rpartition("/")[2], names)
    there = listed(sorted(names), "entries")
    return DataError(f"source.path: {shown}: no such file. Its folder has {there}.{hint}")
