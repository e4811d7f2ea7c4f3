"""`status`: how a run stands, by its files alone, from any terminal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from gmm_dask import is_alive, read_beat
from pipeline.exits import DATA, FINISHED, RESOURCE
from pipeline.manifest import find_run, read_manifest
from pipeline.progress import in_words
from pipeline.run.earlier import newest_checkpoint
from pipeline.sinks.digests import sha256_of

STALE_SECONDS = 60.0


def status(target: str, require: str | None = None) -> tuple[int, str, dict[str, Any]]:
    """Return exit code, a line in words and the facts.

    Parameters
    ----------
    target : str
        Folder of the run.
    require : {"finished"}, optional
        Check every output and its hash: 0 finished; 4 running, stale or stopped; 3 outputs
        missing or changed. Without it the code is 0.
    """
    folder = find_run(target)
    manifest = read_manifest(folder / "run.json")
    state, line, facts = _state(folder, manifest)
    facts = {"state": state, "dir": str(folder), **facts}
    if require is None:
        return FINISHED, line, facts
    if state != "finished":
        return RESOURCE, line, facts
    changed = changed_outputs(manifest)
    if changed:
        advice = "delete what was changed and run again, or start over with --fresh"
        line = f"finished, but {'; '.join(changed)}: {advice}"
        return DATA, line, {**facts, "changed": changed}
    return FINISHED, line, facts


def _state(folder: Path, manifest: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    written = manifest.get("status", "unknown")
    saved = newest_checkpoint(Path(manifest.get("checkpoints", folder / "checkpoints")))
    if written == "finished":
        code = manifest.get("exit_code", 0)
        return (
            "finished",
            f"finished  {manifest.get('finished')} (exit {code})",
            {"exit_code": code},
        )
    if written in ("stopped", "failed"):
        reason = f"{manifest.get('finished')}: {manifest.get('reason')}"
        line = f"{written:<9} {reason}; {_resumable(saved)}"
        return written, line, {"exit_code": manifest.get("exit_code"), "checkpoint_pass": saved}
    beat = read_beat(folder / "heartbeat.json", time.time())
    if beat is None:
        return "stale", f"stale     no heartbeat; {_resumable(saved)}", {"checkpoint_pass": saved}
    owner = beat.owner
    who = f"host {owner.host}, pid {owner.pid}"
    if beat.age > STALE_SECONDS or beat.stopped or is_alive(owner) is False:
        silent = f"last heartbeat {in_words(beat.age)} ago ({who} is gone)"
        line = f"stale     {silent}; {_resumable(saved)}"
        return "stale", line, {"checkpoint_pass": saved, "heartbeat_age": beat.age}
    told = dict(beat.details)
    left = told.get("seconds_left")
    live = f"{told.get('live', '?')} of {told.get('fits', '?')} fits live"
    ahead = "time left unknown yet" if left is None else f"{in_words(left)} left"
    beating = f"heartbeat {in_words(beat.age)} ago ({who})"
    parts = [f"running   pass {told.get('pass', 0)}", live, beating, ahead]
    return "running", ", ".join(parts), {**told, "heartbeat_age": beat.age}


def _resumable(saved: int | None) -> str:
    if saved is None:
        return "no checkpoint yet: the same command starts over"
    return f"resumable from pass {saved}: repeat the same command"


def changed_outputs(manifest: dict[str, Any]) -> list[str]:
    """Return a sentence for each output that is missing or differs from its hash."""
    found = []
    for name, item in manifest.get("outputs", {}).items():
        path = Path(item["path"])
        if not path.exists():
            found.append(f"{name} is missing ({path})")
        elif sha256_of(path) != item["sha256"]:
            found.append(f"{name} was changed ({path})")
    return found
