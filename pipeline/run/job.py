"""`run`: one configuration from start to finish, resumable at every moment."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from gmm_dask import DaskEngine, PassDone, ResourceError, RunLock
from pipeline.clusters import open_client
from pipeline.config import Config, mask_text
from pipeline.exits import FINISHED, NOT_CONVERGED, Terminated, exit_code
from pipeline.manifest import RunFolder, now, versions
from pipeline.progress import Progress, heartbeat_details, say
from pipeline.run.asked import open_rows
from pipeline.run.earlier import (
    finished_code,
    is_finished,
    mode_of,
    refuse_changed_source,
    refuse_new_rows,
    refuse_other,
    start_over,
)
from pipeline.run.fitting import dropped_starts, fit
from pipeline.run.grounds import ask_workers
from pipeline.run.preflight import check_memory, check_outputs, writable
from pipeline.run.settings import cluster_settings
from pipeline.run.telling import dashboard, resuming, saved, shifting, told
from pipeline.run.writing import write_outputs
from pipeline.schedulers import steadily, workers_of
from pipeline.signals import terminable


@dataclass
class Job:
    """One attempt at a run: its configuration, folder and what it has to tell.

    Parameters
    ----------
    config : Config
    folder : RunFolder
    out : text file
        For progress and messages.
    resume : {"auto", "never", "require"}
    command : str
        For the manifest.
    """

    config: Config
    folder: RunFolder
    out: TextIO
    resume: str
    command: str
    began: float = field(default_factory=time.monotonic)
    last: PassDone | None = None
    seconds: list[tuple[float, int]] = field(default_factory=list)
    shift: float = 0.0

    def watch(self, done: PassDone) -> None:
        """Remember a pass, for the heartbeat and the report."""
        self.last = done
        if not done.sample:
            self.seconds.append((done.seconds, done.live))
        facts = {"number": done.number, "live": done.live, "seconds": done.seconds}
        lower = done.best.lower_bound + self.shift
        if done.sample:
            facts["sample_rows"] = done.sample
        self.folder.event("pass", best=lower, **facts)

    def note(self, text: str, **details: Any) -> None:
        """Tell a warning on the console, as an event and in the manifest."""
        say(f"warning: {text}", self.out)
        self.folder.event("warning", text=text, **details)
        self.folder.update(warnings=[*self.folder.manifest.get("warnings", []), text])

    def times(self) -> dict[str, Any]:
        """Return finishing time and duration as of now, for the report."""
        return {"finished": now(), "seconds": round(time.monotonic() - self.began, 3)}

    def beat(self) -> dict[str, Any]:
        """Return what the heartbeat tells."""
        recent = [seconds for seconds, _ in self.seconds[-10:]]
        return heartbeat_details(self.last, sum(recent) / max(len(recent), 1))


def run(
    config: Config,
    *,
    fresh: bool = False,
    resume: str | None = None,
    out: TextIO | None = None,
    command: str = "",
) -> tuple[int, dict[str, Any]]:
    """Run a configuration; go on where an earlier attempt stopped; do nothing if it finished.

    Parameters
    ----------
    config : Config
    fresh : bool
        Set an earlier attempt aside and start over.
    resume : {"auto", "never", "require"}, optional
        Instead of ``run.resume``.
    out : text file, optional
        For progress; default standard error.
    command : str
        What the user typed, for the manifest.

    Returns
    -------
    exit code, manifest

    Raises
    ------
    GmmDaskError, KeyboardInterrupt, Terminated
        After the manifest has been marked.
    """
    mode = mode_of(config, fresh, resume)
    folder = RunFolder(Path(config.run.dir))
    writable(folder.path)
    job = Job(config, folder, out or sys.stderr, mode, command)
    lock = RunLock(folder.path / "run.lock", details=job.beat)
    with lock, terminable(lambda error: mark(job, error)):
        earlier = None if fresh else folder.load()
        if earlier is not None and is_finished(earlier, config):
            return _finished_before(job, earlier)
        if earlier is not None:
            refuse_other(earlier, config, folder)
        if mode == "never":
            start_over(config, folder)
            earlier = None
        folder.begin(_first_manifest(job))
        folder.event("started", pid=os.getpid(), resume=mode)
        try:
            return _attempt(job, earlier or {})
        except BaseException as error:
            mark(job, error)
            stop = interruption(error)
            if stop is None:
                raise
            raise KeyboardInterrupt(_goes_on(stop, error)) from error


def _finished_before(job: Job, manifest: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    refuse_new_rows(manifest, job.config, job.folder.path / "scratch")
    code = finished_code(manifest, job.config)
    if code != manifest["exit_code"]:
        job.folder.manifest = manifest
        job.folder.update(exit_code=code, reason=_reason(code), config=job.config.resolved())
        manifest = job.folder.manifest
    say(
        f"already finished {manifest['finished']} (exit {code}); --fresh starts another attempt",
        job.out,
    )
    return code, {**manifest, "already_finished": True}


def _attempt(job: Job, earlier: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    config, folder = job.config, job.folder
    scratch = folder.path / "scratch"
    table = open_rows(config, scratch)
    refuse_changed_source(earlier, table.fingerprint)
    check_outputs(config, table)
    folder.update(source=table.described, fingerprint=table.fingerprint)
    with open_client(cluster_settings(config)) as client, _marking(job):
        say(f"{config.run.name} -> {folder.path}{dashboard(client)}", job.out)
        section = config.cluster
        rests_on = steadily(client, lambda: ask_workers(job, client, table), section.timeout)
        check_memory(config, table, workers_of(client, section.timeout))
        cache = "stream" if section.cache == "spool" else section.cache
        with DaskEngine(client, cache, timeout=section.timeout) as engine:
            with told(job), Progress(job.out, lambda: saved(config)) as progress:
                watch: list[Callable[[PassDone], None]] = [job.watch, progress]
                shift = shifting(job, progress)
                tell = resuming(job)
                fitted = fit(
                    config, table, engine, job.resume, watch, tell, scratch, shift, rests_on
                )
            changes = write_outputs(job, fitted, engine)
            changes["dropped_starts"] = dropped_starts(fitted)
            changes["warnings"] = [*folder.manifest.get("warnings", []), *changes["warnings"]]
    converged = fitted.candidate.converged or config.run.accept_not_converged
    code = FINISHED if converged else NOT_CONVERGED
    changes |= {"status": "finished", "exit_code": code, "reason": _reason(code), **job.times()}
    folder.update(**changes)
    folder.event("finished", exit_code=code)
    shutil.rmtree(scratch, ignore_errors=True)
    return code, folder.manifest


def _reason(code: int) -> str:
    if code == NOT_CONVERGED:
        return (
            "the chosen fit reached max_iter before it converged: raise model.max_iter and run "
            "again to go on, or set run.accept_not_converged"
        )
    return "finished"


def _first_manifest(job: Job) -> dict[str, Any]:
    config = job.config
    return {
        "name": config.run.name,
        "dir": str(job.folder.path.resolve()),
        "status": "running",
        "started": now(),
        "cwd": str(Path.cwd()),
        "checkpoints": str(Path(config.checkpoint.path).resolve()),
        "command": job.command,
        "config": config.resolved(),
        "identity": config.identity(),
        "versions": versions(),
        "seed": config.model.random_state,
        "attempt": job.folder.next_attempt,
    }


def mark(job: Job, error: BaseException) -> None:
    """Write into the manifest how a run ended, once."""
    if job.folder.manifest.get("status") != "running":
        return
    error = interruption(error) or error
    code = exit_code(error)
    stopped = isinstance(error, KeyboardInterrupt | Terminated)
    status = "stopped" if stopped else "failed"
    reason = mask_text(str(error)) or type(error).__name__
    with suppress(OSError, ResourceError):  # a full disk must not hide why the run ended
        job.folder.update(status=status, exit_code=code, reason=reason, finished=now())
        job.folder.event(status, exit_code=code, reason=reason)


def interruption(error: BaseException) -> KeyboardInterrupt | None:
    """Return the Ctrl-C that an error is, or during whose handling it arose; None without one.

    A last checkpoint that cannot be written on the way out does not change why the run ended.
    """
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, KeyboardInterrupt):
        seen = seen.__cause__ or seen.__context__
    return seen


def _goes_on(stop: KeyboardInterrupt, error: BaseException) -> str:
    told = str(stop) or "interrupted"
    if error is stop:
        return f"{told}; the same command goes on from there"
    return f"{told}; no checkpoint was written on the way out ({error}): the same command goes on"


@contextmanager
def _marking(job: Job) -> Iterator[None]:
    """Mark the manifest before the cluster is closed, which may take seconds."""
    try:
        yield
    except BaseException as error:
        mark(job, error)
        raise
