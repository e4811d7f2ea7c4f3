"""`run`: one configuration from start to finish, resumable at every moment."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from gmm_dask import ConfigError, DaskEngine, PassDone, Resumed, RunLock, check_workers
from pipeline.clusters import open_client
from pipeline.config import Config, difference
from pipeline.exits import NOT_CONVERGED, TERMINATED, Terminated, exit_code
from pipeline.manifest import RunFolder, now, versions
from pipeline.progress import Progress, heartbeat_details, say
from pipeline.run.fitting import fit, open_rows
from pipeline.run.settings import cluster_settings
from pipeline.run.writing import write_outputs

GRACE_SECONDS = 8.0
# Sections whose change makes a finished run go on: its fits may be kept, its outputs not.
DECISIVE = ("source", "transform", "model", "select", "output", "report")


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
    saved: float | None = None

    def watch(self, done: PassDone) -> None:
        """Remember a pass, for the heartbeat and the report."""
        self.last = done
        self.seconds.append((done.seconds, done.live))
        lower = done.best.lower_bound
        self.folder.event(
            "pass", number=done.number, live=done.live, seconds=done.seconds, best=lower
        )

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
    folder = RunFolder(Path(config.run.dir))
    folder.path.mkdir(parents=True, exist_ok=True)
    mode = "never" if fresh else resume or config.run.resume
    job = Job(config, folder, out or sys.stderr, mode, command)
    with RunLock(folder.path / "run.lock", details=job.beat), on_signals(job):
        earlier = None if fresh else folder.load()
        if earlier is not None and is_finished(earlier, config):
            say(
                f"already finished {earlier['finished']} (exit {earlier['exit_code']}); "
                "--fresh starts another attempt",
                job.out,
            )
            return int(earlier["exit_code"]), earlier
        if earlier is not None:
            refuse_other(earlier, config, folder)
        if mode == "never":
            _start_over(config, folder)
        folder.begin(_first_manifest(job))
        try:
            return _attempt(job)
        except BaseException as error:
            mark(job, error)
            raise


def _attempt(job: Job) -> tuple[int, dict[str, Any]]:
    config, folder = job.config, job.folder
    scratch = folder.path / "scratch"
    table = open_rows(config, scratch)
    folder.update(source=table.described, fingerprint=table.fingerprint)
    with open_client(cluster_settings(config)) as client, _marking(job):
        say(f"{config.run.name} -> {folder.path}{_dashboard(client)}", job.out)
        section = config.cluster
        facts = check_workers(client, table, section.timeout, section.wait_for_workers)
        folder.update(workers=facts)
        cache = "stream" if section.cache == "spool" else section.cache
        progress = Progress(job.out, lambda: _saved(config))
        with DaskEngine(client, cache, timeout=section.timeout) as engine:
            watch: list[Callable[[PassDone], None]] = [job.watch, progress]
            fitted = fit(config, table, engine, job.resume, watch, _resuming(job), scratch)
            progress.finish()
            changes = write_outputs(job, fitted, engine)
    code = 0 if fitted.candidate.converged or config.run.accept_not_converged else NOT_CONVERGED
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


def is_finished(manifest: dict[str, Any], config: Config) -> bool:
    """Return whether a run has finished with this very configuration and its outputs exist."""
    if manifest.get("status") != "finished":
        return False
    before, wanted = manifest.get("config", {}), config.resolved()
    same = all(before.get(key) == wanted.get(key) for key in DECISIVE)
    return same and all(
        Path(item["path"]).exists() for item in manifest.get("outputs", {}).values()
    )


def refuse_other(manifest: dict[str, Any], config: Config, folder: RunFolder) -> None:
    """Raise ConfigError if the folder belongs to another configuration, naming what differs."""
    changes = difference(manifest.get("identity", {}), config.identity())
    if changes:
        listed = "\n".join(f"  {line}" for line in changes)
        raise ConfigError(
            f"{folder.path} belongs to another configuration\n{listed}\n"
            f"  keep both: --set run.name={config.run.name}-2     start over: --fresh (the old "
            "attempt is kept as attempts/N)"
        )


def _start_over(config: Config, folder: RunFolder) -> None:
    folder.set_aside()
    outside = Path(config.checkpoint.path)
    if outside.is_dir() and folder.path.resolve() not in outside.resolve().parents:
        aside = outside.with_name(f"{outside.name}-{time.time_ns()}")
        outside.rename(aside)


def _first_manifest(job: Job) -> dict[str, Any]:
    config = job.config
    return {
        "name": config.run.name,
        "dir": str(job.folder.path.resolve()),
        "status": "running",
        "started": now(),
        "command": job.command,
        "config": config.resolved(),
        "identity": config.identity(),
        "versions": versions(),
        "seed": config.model.random_state,
        "attempt": 1 + sum(1 for _ in (job.folder.path / "attempts").glob("*")),
    }


def mark(job: Job, error: BaseException) -> None:
    """Write into the manifest how a run ended, once."""
    if job.folder.manifest.get("status") != "running":
        return
    code = exit_code(error)
    stopped = isinstance(error, KeyboardInterrupt | Terminated)
    status = "stopped" if stopped else "failed"
    reason = str(error) or type(error).__name__
    job.folder.update(status=status, exit_code=code, reason=reason, finished=now())
    job.folder.event(status, exit_code=code, reason=reason)


@contextmanager
def _marking(job: Job) -> Iterator[None]:
    """Mark the manifest before the cluster is closed, which may take seconds."""
    try:
        yield
    except BaseException as error:
        mark(job, error)
        raise


@contextmanager
def on_signals(job: Job) -> Iterator[None]:
    """Turn SIGTERM into `Terminated`, with a hard end if closing takes too long."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(signum: int, frame: Any) -> None:  # noqa: ARG001
        error = Terminated("terminated; resumable from the last checkpoint")
        timer = threading.Timer(GRACE_SECONDS, lambda: os._exit(TERMINATED))
        timer.daemon = True
        timer.start()
        mark(job, error)
        raise error

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _dashboard(client: Any) -> str:
    link = getattr(client, "dashboard_link", "")
    return f"   (dashboard {link})" if link else ""


def _saved(config: Config) -> float | None:
    """Return the monotonic time of the newest checkpoint."""
    newest = max(
        (item.stat().st_mtime for item in Path(config.checkpoint.path).glob("commits/*.json")),
        default=None,
    )
    return None if newest is None else time.monotonic() - (time.time() - newest)


def _resuming(job: Job) -> Callable[[Resumed], None]:
    def tell(resumed: Resumed) -> None:
        live = sum(fit.outcome is None for fit in resumed.fits)
        say(
            f"resuming {job.folder.path} from pass {resumed.number} (checkpoint {resumed.written}, "
            f"sha256 {resumed.sha256[:8]}...; {live} of {len(resumed.fits)} fits live)",
            job.out,
        )
        job.folder.update(resumed_from=resumed.number)
        job.folder.event("resumed", number=resumed.number, sha256=resumed.sha256)

    return tell
