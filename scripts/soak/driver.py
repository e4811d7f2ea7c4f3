"""One attempt of the program, as a process that is watched by its files and can be killed.

The process is a fork of this one, which has imported everything: the program itself, its exit
codes and its death are as always, but not the seconds of starting Python: there is time for more
kills.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

# All that a run imports on its way.
for module in ("pipeline.cli", "pipeline.run", "distributed", "pipeline.report", "gmm_dask.many"):
    importlib.import_module(module)


class Driver:
    """The program at work on one configuration, in a session of its own.

    Parameters
    ----------
    folder : Path
        Where it starts.
    name : str
        Of the run.
    config : str
        File of the configuration.
    """

    def __init__(self, folder: Path, name: str, config: str) -> None:
        self.folder, self.name = folder, name
        self.run = folder / "runs" / name
        self.err = folder / f"{name}.err"
        self.code: int | None = None
        self.pid = os.fork()
        if not self.pid:
            self._become(config)

    def _become(self, config: str) -> None:
        """Be the program from here on."""
        code: Any = 1
        try:
            os.setsid()
            os.chdir(self.folder)
            with self.err.open("ab", 0) as err, Path(os.devnull).open("wb") as out:
                os.dup2(err.fileno(), 2)
                os.dup2(out.fileno(), 1)
            sys.argv = ["gmm-dask", "run", config]
            importlib.import_module("pipeline.cli").main()
        except SystemExit as ended:
            code = ended.code
        finally:
            sys.stderr.flush()
            os._exit(code if isinstance(code, int) else 1)

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def wait(self, deadline: float) -> int | None:
        """Return the exit code, or None if it has not ended within so many seconds."""
        end = time.monotonic() + deadline
        while self.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        return self.code

    def kill(self) -> bool:
        """Kill the driver alone; return whether it was still there."""
        if self.poll() is not None:
            return False
        os.kill(self.pid, signal.SIGKILL)
        while self.poll() is None:
            time.sleep(0.001)
        return self.code == -signal.SIGKILL

    def kill_worker(self, draw: float) -> bool:
        """Kill the worker at this share (0 to 1) of the list; return whether there was one."""
        workers = self.workers()
        if not workers:
            return False
        with suppress(psutil.NoSuchProcess):
            workers[int(draw * len(workers))].kill()
            return True
        return False

    def workers(self) -> list[psutil.Process]:
        """Return its worker processes."""
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.pid).children()
            return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        return []

    def close(self) -> None:
        """End it and whatever it has left."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait(10.0)

    def events(self) -> list[dict[str, Any]]:
        """Return the events of the run so far, of earlier attempts too."""
        try:
            lines = (self.run / "events.jsonl").read_text().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def told(self) -> str:
        """Return what it and the attempts before it have said."""
        return self.err.read_text()
