"""The marker of a checkpoint: the one small file whose appearance makes the checkpoint exist."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gmm_dask.errors import FormatError
from gmm_dask.store.files import Files
from gmm_dask.store.layout import LIMITS, NEWER, Limits
from gmm_dask.store.manifest import Manifest, canonical, parse_json, parse_manifest

FORMAT = "gmm-dask-checkpoint"
VERSION = 1
LAST_PASS = 9_999_999_999
MARKER_NAME = re.compile(r"(\d{10})\.json")
DATA_NAME = re.compile(r"(\d{10})-[0-9a-f]{32}")


class NewerFormatError(FormatError):
    """A whole file of a version that this one does not know; not damage."""


@dataclass(frozen=True)
class Marker:
    """What a checkpoint consists of and what it belongs to.

    Parameters
    ----------
    pass_number : int
    data : str
        Name of the folder under ``data/``.
    written : datetime
        In UTC.
    identity : mapping
        Flat JSON: configuration, data, plan and versions that decide the model.
    manifest : dict
        Key -> (size, sha256) of every file in the folder.
    rests_on : tuple of dict
        On what the contents were computed, one after the other: name -> word.
    """

    pass_number: int
    data: str
    written: datetime
    identity: Mapping[str, Any]
    manifest: Manifest
    rests_on: tuple[dict[str, str], ...] = ()

    @property
    def name(self) -> str:
        """File name under ``commits/``."""
        return marker_name(self.pass_number)

    @property
    def sha256(self) -> str:
        """Digest of the contents: equal for equal states, whenever they were written."""
        return hashlib.sha256(canonical(self.manifest)).hexdigest()

    @property
    def bytes(self) -> int:
        """Bytes of the contents on disk."""
        return sum(entry.size for entry in self.manifest.values())


def marker_name(pass_number: int) -> str:
    """Return the file name of the marker of a pass."""
    return f"{pass_number:010d}.json"


def plain(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping as JSON gives it back (tuples become lists)."""
    result: dict[str, Any] = json.loads(canonical(dict(mapping)))
    return result


def render(marker: Marker) -> bytes:
    """Return the contents of the marker file, with a checksum of themselves."""
    body = {
        "format": FORMAT,
        "version": VERSION,
        "pass": marker.pass_number,
        "data": marker.data,
        "written": marker.written.isoformat(),
        "identity": dict(marker.identity),
        "files": marker.manifest,
        "rests_on": list(marker.rests_on),
    }
    return _envelope(body)


def _envelope(body: Any) -> bytes:
    return canonical({"body": body, "sha256": hashlib.sha256(canonical(body)).hexdigest()})


def parse(raw: bytes, name: str, limits: Limits = LIMITS) -> Marker:
    """Return the marker of a file's contents.

    Raises
    ------
    NewerFormatError
        If it is whole, but of a newer version.
    FormatError
        If a single bit is not as it was written, or it stands under another name.
    """
    content = parse_json(raw, f"marker {name}")
    body = content.get("body") if isinstance(content, dict) else None
    try:
        whole = isinstance(body, dict) and _envelope(body) == raw
    except (ValueError, RecursionError):
        whole = False
    if body is None or not whole:
        raise FormatError(f"marker {name} is damaged: its checksum does not match")
    if body.get("format") != FORMAT or not isinstance(body.get("version"), int):
        raise FormatError(f"marker {name} is not one of a {FORMAT}")
    if body["version"] > VERSION:
        raise NewerFormatError(
            f"marker {name} has version {body['version']}, not {VERSION}: {NEWER}"
        )
    return _from_body(body, name, limits)


def _from_body(body: Mapping[str, Any], name: str, limits: Limits) -> Marker:
    """Return the marker of a verified body; its fields are still checked one by one."""
    try:
        marker = Marker(
            int(body["pass"]),
            str(body["data"]),
            datetime.fromisoformat(body["written"]),
            dict(body["identity"]),
            parse_manifest(body["files"], limits),
            tuple(_words(facts) for facts in body.get("rests_on", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"marker {name} is not valid: {error}") from error
    belongs = DATA_NAME.fullmatch(marker.data)
    if marker.name != name or not belongs or int(belongs[1]) != marker.pass_number:
        raise FormatError(f"marker {name} belongs to pass {marker.pass_number}, {marker.data}")
    return marker


def _words(facts: Any) -> dict[str, str]:
    """Return facts that are a flat mapping of words; TypeError if they are something else."""
    if not isinstance(facts, dict) or not all(isinstance(word, str) for word in facts.values()):
        raise TypeError(f"{facts!r:.60} are not words by name")
    return facts


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return ``key: old -> new`` for every key in which two identities differ."""
    keys = sorted({*old, *new})
    shown = [(key, _show(old, key), _show(new, key)) for key in keys]
    return [f"{key}: {before} -> {after}" for key, before, after in shown if before != after]


def _show(mapping: Mapping[str, Any], key: str) -> str:
    return json.dumps(mapping[key], sort_keys=True) if key in mapping else "(absent)"


def raw_markers(commits: Path, files: Files, limits: Limits = LIMITS) -> dict[str, bytes | None]:
    """Return the contents of all marker files, newest first; None where one cannot be read."""
    found: dict[str, bytes | None] = {}
    for name in sorted(files.names(commits), reverse=True):
        if MARKER_NAME.fullmatch(name):
            try:
                found[name] = files.read(commits / name, limits.json_bytes)
            except (OSError, FormatError):
                found[name] = None
    return found
