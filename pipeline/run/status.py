"""`status`: how a run stands, by its files alone, from any terminal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

from gmm_dask import is_alive, read_beat
from pipeline.exits import DATA, FINISHED, NOT_CONVERGED, RESOURCE
from pipeline.manifest import find_run, located, read_manifest
from pipeline.progress import in_words
from pipeline.run.earlier import newest_checkpoint
from pipeline.sinks.digests import sha256_of

STALE_SECONDS = 60.0


class State(NamedTuple):
    """How a run stands."""

    name: str
    """running, stale, stopped, failed or finished."""
    line: str
    facts: dict[str, Any]


def status(target: str, require: str | None = None) -> tuple[int, str, dict[str, Any]]:
    """Return exit code, a line in words and the facts.

    Parameters
    ----------
    target : str
        Folder of the run.
    require : {"finished"}, optional
        Be a gate: 0 finished, with every output and its hash as written; 5 the same, but the
        chosen fit did not converge and that was not accepted (``run.accept_not_converged``); 4
        running, stale, stopped or failed; 3 outputs missing or changed. Without it the code is 0.

    Raises
    ------
    ConfigError
        There is no run.
    FormatError
        Its manifest is damaged.
    """
    folder = find_run(target)
    manifest = read_manifest(folder / "run.json")
    state = _state(folder, manifest)
    facts = {"state": state.name, "dir": str(folder), **state.facts}
    if require is None:
        return FINISHED, state.line, facts
    if state.name != "finished":
        return RESOURCE, state.line, facts
    changed = changed_outputs(manifest, folder)
    if changed:
        advice = "delete what was changed and run again, or start over with --fresh"
        line = f"finished, but {'; '.join(changed)}: {advice}"
        return DATA, line, {**facts, "changed": changed}
    if manifest.get("exit_code") == NOT_CONVERGED:
        return NOT_CONVERGED, f"{state.line}: {manifest.get('reason')}", facts
    return FINISHED, state.line, facts


def _state(folder: Path, manifest: dict[str, Any]) -> State:
    written = manifest.get("status", "unknown")
    saved = newest_checkpoint(located(manifest, folder, _checkpoints(manifest, folder)))
    resumable = {"checkpoint_pass": saved, "resumable": saved is not None}
    if written == "finished":
        code = manifest.get("exit_code", 0)
        line = f"finished  {manifest.get('finished')} (exit {code})"
        return State(written, line, {"exit_code": code})
    if written in ("stopped", "failed"):
        reason = f"{manifest.get('finished')}: {manifest.get('reason')}"
        line = f"{written:<9} {reason}; {_resumable(saved)}"
        return State(written, line, {"exit_code": manifest.get("exit_code"), **resumable})
    return _by_heartbeat(folder, saved, resumable)


def _checkpoints(manifest: dict[str, Any], folder: Path) -> str:
    return manifest.get("checkpoints") or str(folder / "checkpoints")


def _by_heartbeat(folder: Path, saved: int | None, resumable: dict[str, Any]) -> State:
    """Tell a run whose driver lives from one whose driver died without a word."""
    beat = read_beat(folder / "heartbeat.json", time.time())
    if beat is None:
        return State("stale", f"stale     no heartbeat; {_resumable(saved)}", resumable)
    owner = beat.owner
    who = f"host {owner.host}, pid {owner.pid}"
    if beat.age > STALE_SECONDS or beat.stopped or is_alive(owner) is False:
        silent = f"last heartbeat {in_words(beat.age)} ago ({who} is gone)"
        line = f"stale     {silent}; {_resumable(saved)}"
        return State("stale", line, {**resumable, "heartbeat_age": beat.age})
    told = dict(beat.details)
    left = told.get("seconds_left")
    live = f"{told.get('live', '?')} of {told.get('fits', '?')} fits live"
    known = isinstance(left, int | float)
    ahead = f"{in_words(told['seconds_left'])} left" if known else "time left unknown yet"
    beating = f"heartbeat {in_words(beat.age)} ago ({who})"
    parts = [f"running   pass {told.get('pass', 0)}", live, beating, ahead]
    return State("running", ", ".join(parts), {**told, "heartbeat_age": beat.age})


def _resumable(saved: int | None) -> str:
    if saved is None:
        return "no checkpoint yet: the same command starts over"
    return f"resumable from pass {saved}: repeat the same command"


def changed_outputs(manifest: dict[str, Any], folder: Path) -> list[str]:
    """Return a sentence for each output that is missing or differs from its hash."""
    found = []
    for name, item in (manifest.get("outputs") or {}).items():
        path = located(manifest, folder, item["path"])
        if not path.exists():
            found.append(f"{name} is missing ({path})")
        elif sha256_of(path) != item.get("sha256"):
            found.append(f"{name} was changed ({path})")
    return found
