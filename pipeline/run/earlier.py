"""What an earlier attempt left in the folder of a run, and whether this one may go on."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import Any

from gmm_dask import ConfigError, DataError, ResourceError, SourceChangedError
from pipeline.config import Config, difference
from pipeline.exits import FINISHED, NOT_CONVERGED
from pipeline.manifest import RunFolder
from pipeline.run.asked import spec_of
from pipeline.sources import open_table

MODES = ("auto", "never", "require")
# Sections whose change makes a finished run go on: its fits may be kept, its outputs not.
DECISIVE = ("source", "transform", "model", "select", "output", "report")


# What a folder of checkpoints holds, by subfolder.
PARTS = {
    "commits": re.compile(r"\d{10}\.json"),
    "data": re.compile(r"\d{10}-[0-9a-f]{32}"),
}


def mode_of(config: Config, fresh: bool, resume: str | None) -> str:
    """Return how to treat an earlier attempt: auto, never or require.

    Raises
    ------
    ConfigError
        ``resume`` is none of these, or it contradicts ``fresh``.
    """
    if resume is not None and resume not in MODES:
        raise ConfigError(f"--resume {resume}: one of {', '.join(MODES)} is needed")
    if fresh and resume == "require":
        raise ConfigError("--fresh starts over and --resume require forbids that; keep one")
    return "never" if fresh else resume or config.run.resume


def is_finished(manifest: dict[str, Any], config: Config) -> bool:
    """Return whether a run has finished with this very configuration and its outputs exist."""
    if manifest.get("status") != "finished":
        return False
    before, wanted = manifest.get("config", {}), config.resolved()
    same = all(before.get(key) == wanted.get(key) for key in DECISIVE)
    return same and all(
        Path(item["path"]).exists() for item in manifest.get("outputs", {}).values()
    )


def finished_code(manifest: dict[str, Any], config: Config) -> int:
    """Return the exit code of a run that finished before, as this configuration sees it."""
    code = int(manifest["exit_code"])
    accepted = code == NOT_CONVERGED and config.run.accept_not_converged
    return FINISHED if accepted else code


def refuse_other(manifest: dict[str, Any], config: Config, folder: RunFolder) -> None:
    """Raise ConfigError if the folder belongs to another configuration, naming what differs.

    An attempt that left neither checkpoint nor outputs, as after a misspelt path, claims nothing.
    """
    changes = difference(manifest.get("identity", {}), config.identity())
    if not changes or not leaves_something(manifest):
        return
    listed = "\n".join(f"  {line}" for line in changes)
    name, place = config.run.name, config.run.dir
    follows_name = Path(place) == Path("runs") / name
    other = f"run.name={name}-2" if follows_name else f"run.dir={place}-2"
    raise ConfigError(
        f"{folder.path} belongs to another configuration\n{listed}\n"
        f"  keep both: --set {other}     start over: --fresh (the old attempt is kept as "
        f"attempts/{folder.next_attempt})"
    )


def leaves_something(manifest: dict[str, Any]) -> bool:
    """Return whether an attempt finished or has a checkpoint to go on from."""
    stored = manifest.get("checkpoints")
    checkpoint = newest_checkpoint(Path(stored)) if stored else None
    return manifest.get("status") == "finished" or checkpoint is not None


def newest_checkpoint(path: Path) -> int | None:
    """Return the pass of the newest committed checkpoint, or None."""
    passes = [int(item.stem) for item in path.glob("commits/*.json") if item.stem.isdigit()]
    return max(passes, default=None)


def refuse_changed_source(manifest: dict[str, Any], fingerprint: str) -> None:
    """Raise SourceChangedError if the rows are not those that an earlier attempt has fitted."""
    before = manifest.get("fingerprint")
    if before is None or before == fingerprint or not leaves_something(manifest):
        return
    what = "finished" if manifest.get("status") == "finished" else "was interrupted"
    path = manifest.get("source", {}).get("path", "")
    raise SourceChangedError(
        f"source.path: {path} has changed since this run {what} ({manifest.get('started')}): "
        f"fingerprint {before[:12]} then, {fingerprint[:12]} now. Fit the new rows with --fresh "
        "(the old attempt is kept), or put the old ones back"
    )


def refuse_new_rows(manifest: dict[str, Any], config: Config, scratch: Path) -> None:
    """Raise SourceChangedError if a finished run's source holds other rows by now.

    A source that is gone, or that the run itself has written into, says nothing.
    """
    section = config.output
    if section and section.write_back and section.write_back.in_place:
        return
    try:
        fingerprint = open_table(spec_of(config), scratch).fingerprint
    except (ConfigError, DataError, ResourceError):
        return
    refuse_changed_source(manifest, fingerprint)


def start_over(config: Config, folder: RunFolder) -> None:
    """Set aside what an earlier attempt left, checkpoints outside the folder too.

    Of a folder that was only named in the configuration nothing is moved but checkpoints.
    """
    folder.set_aside()
    outside = Path(config.checkpoint.path).resolve()
    if folder.path.resolve() in outside.parents:
        return
    aside = outside.with_name(f"{outside.name}-{time.time_ns()}")
    for part, name in PARTS.items():
        for item in sorted(outside.glob(f"{part}/*")):
            if name.fullmatch(item.name):
                (aside / part).mkdir(parents=True, exist_ok=True)
                shutil.move(item, aside / part / item.name)
