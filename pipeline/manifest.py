"""``run.json``: what a run is, how far it came and what it wrote; and ``events.jsonl``."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from gmm_dask import ConfigError, FormatError, __version__
from pipeline.output_json import plain
from pipeline.sinks import write_json_atomic

VERSION = 1
PACKAGES = ("numpy", "scipy", "llvmlite", "dask", "distributed", "zarr", "pyarrow", "scikit-learn")
LARGEST = 64 << 20
STATES = ("running", "stopped", "failed", "finished")
# What readers rely on, by kind; a manifest may lack any of these and hold more.
KINDS: Mapping[type | tuple[type, ...], tuple[str, ...]] = {
    str: (
        *("name", "dir", "cwd", "started", "finished", "checkpoints", "command", "fingerprint"),
        *("status", "reason", "sentence", "model_fingerprint"),
    ),
    int: ("exit_code", "attempt", "rows", "passes"),
    (int, float): ("seconds",),
    dict: ("config", "identity", "versions", "rests_on", "workers", "source", "outputs"),
    list: ("warnings", "table", "candidates", "widths", "diagnosis"),
}
PRINTED = ("table", "widths", "diagnosis", "warnings")
"""Lists of lines for the terminal."""
# What a run writes into its folder; nothing else there is ever moved.
WRITTEN = (
    *("run.json", "events.jsonl", "model.zarr", "candidates.csv", "results.json", "diagnosis.json"),
    *("assignments", "report.html", "checkpoints", "scratch"),
)


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Return the versions on which bit-equality rests."""
    found = {"gmm-dask": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        found[package] = metadata.version(package)
    return found


class RunFolder:
    """The folder of one run.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: dict[str, Any] = {}

    @property
    def file(self) -> Path:
        """The manifest's file."""
        return self.path / "run.json"

    def load(self) -> dict[str, Any] | None:
        """Return the stored manifest, or None where there is none.

        Raises
        ------
        FormatError
            It is damaged, or written by a newer version.
        """
        return read_manifest(self.file) if self.file.exists() else None

    def begin(self, manifest: dict[str, Any]) -> None:
        """Write a fresh manifest."""
        self.manifest = {"version": VERSION, **manifest}
        self.write()

    def update(self, **changes: Any) -> None:
        """Change some keys and write."""
        self.manifest = {**self.manifest, **changes}
        self.write()

    def write(self) -> None:
        """Write the manifest at once or not at all, with a checksum of itself."""
        content = plain(self.manifest)
        write_json_atomic(self.file, {**content, "sha256": checksum(content)})

    def event(self, what: str, **details: Any) -> None:
        """Append one line of JSON to ``events.jsonl``."""
        line = json.dumps(plain({"time": now(), "event": what, **details}))
        with (self.path / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    @property
    def next_attempt(self) -> int:
        """Number of the attempt that follows those set aside, from 1."""
        attempts = self.path / "attempts"
        taken = [int(item.name) for item in attempts.glob("*") if item.name.isdigit()]
        return max(taken, default=0) + 1

    def set_aside(self) -> Path | None:
        """Move what an earlier attempt wrote into ``attempts/N``; return where."""
        names = dict.fromkeys((*WRITTEN, *self._outputs()))
        old = [self.path / name for name in names if (self.path / name).exists()]
        if not old:
            return None
        target = self.path / "attempts" / str(self.next_attempt)
        target.mkdir(parents=True)
        for item in old:
            shutil.move(str(item), target / item.name)
        return target

    def _outputs(self) -> list[str]:
        """Return the names of an earlier attempt's outputs that lie in this folder."""
        try:
            outputs = (self.load() or {}).get("outputs", {})
        except FormatError:
            return []
        paths = [Path(item["path"]) for item in outputs.values()]
        return [path.name for path in paths if path.parent == self.path.resolve()]


def read_manifest(path: Path) -> dict[str, Any]:
    """Return a manifest from its file.

    Raises
    ------
    FormatError
        It is damaged, too large, or written by a newer version.
    """
    if path.stat().st_size > LARGEST:
        raise FormatError(f"{path} is larger than {LARGEST} bytes: this is no manifest")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise FormatError(f"{path} is damaged: {error}. Start over with --fresh") from None
    if not isinstance(manifest, dict) or type(manifest.get("version")) is not int:
        raise FormatError(f"{path} is no manifest of a run. Start over with --fresh")
    if manifest["version"] > VERSION:
        raise FormatError(
            f"{path} was written by a newer version (format {manifest['version']}, this program "
            f"reads {VERSION}); update gmm-dask"
        )
    told = manifest.pop("sha256", None)
    wrong = _wrong(manifest) if told == checksum(manifest) else "its checksum does not match"
    if wrong:
        raise FormatError(
            f"{path} is damaged, or was changed by hand: {wrong}. Put it back, or start over with "
            "--fresh"
        )
    return manifest


def checksum(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of what a manifest says, however its text is laid out."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _wrong(manifest: Mapping[str, Any]) -> str:
    """Return what is not as a run writes it, "" if nothing."""
    for kind, keys in KINDS.items():
        for key in keys:
            value = manifest.get(key)
            if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
                return f"{key} is {value!r:.60}"
    if "status" in manifest and manifest["status"] not in STATES:
        return f"status is {manifest['status']!r:.60}"
    for key in PRINTED:
        other = [line for line in manifest.get(key) or () if not isinstance(line, str)]
        if other:
            return f"{key} holds {other[0]!r:.60}, no line of text"
    for name, item in (manifest.get("outputs") or {}).items():
        if not isinstance(item, dict) or not isinstance(item.get("path"), str):
            return f"the output {name} has no path"
    return ""


def located(manifest: Mapping[str, Any], folder: Path, path: str) -> Path:
    """Return where an output lies now: the folder of the run may have been moved since.

    Parameters
    ----------
    manifest : mapping
    folder : Path
        Of the run, now.
    path : str
        As the manifest has it.
    """
    written, made = Path(os.path.normpath(path)), manifest.get("dir", str(folder))
    return folder / written.relative_to(made) if written.is_relative_to(made) else written


def find_run(target: str | os.PathLike[str]) -> Path:
    """Return the folder of a run.

    Raises
    ------
    ConfigError
        There is no run.
    """
    folder = Path(target)
    if not (folder / "run.json").is_file():
        raise ConfigError(
            f"{folder} holds no run (no run.json): give a run folder or its YAML file"
        )
    return folder


def summary(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a manifest that ``--json`` prints."""
    keys = (
        *("name", "dir", "status", "exit_code", "reason", "sentence", "chosen", "candidates"),
        *("rows", "passes", "seconds", "model_fingerprint", "outputs", "warnings"),
        *("finished", "already_finished"),
    )
    return {key: manifest[key] for key in keys if key in manifest}
