"""The installed program as users run it: started, watched by its files, killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from typer.testing import CliRunner, Result

from pipeline.cli import app
from tests.strategies import clusters

PROGRAM = Path(sys.executable).with_name("gmm-dask")
DEADLINE = 120.0


def eventually(what: Callable[[], Any], deadline: float = DEADLINE) -> Any:
    """Return the first true answer, or fail after the deadline."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        answer = what()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"nothing happened within {deadline} s")


class Started:
    """A program that runs, in a session of its own.

    Parameters
    ----------
    words : tuple of str
    folder : Path
        Where it starts, and what it prints is kept.
    env : mapping
        Added to the environment.
    """

    def __init__(
        self, words: tuple[str, ...], folder: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.out, self.err = (folder / f"{name}.txt" for name in ("out", "err"))
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                words,
                cwd=folder,
                stdout=out,
                stderr=err,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                # a shell that runs the tests in the background has them ignore Ctrl-C
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def wait(self, deadline: float = DEADLINE) -> int:
        """Return the exit code."""
        return self.process.wait(deadline)

    def signal(self, number: int) -> None:
        """Send a signal to the program alone."""
        os.kill(self.process.pid, number)

    def signal_all(self, number: int) -> None:
        """Send a signal to the program and all that it started, as a terminal does."""
        os.killpg(self.process.pid, number)

    @property
    def workers(self) -> list[psutil.Process]:
        """Its worker processes."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]

    def close(self) -> None:
        """End what is still there."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)


@dataclass(frozen=True)
class Place:
    """A folder with 40,000 rows in three blocks, and configurations for them."""

    path: Path

    @staticmethod
    def make(path: Path) -> Place:
        """Write the rows."""
        rows, _ = clusters(40_000, D=2, K=3, seed=11, apart=2.5)
        np.save(path / "rows.npy", rows)
        return Place(path)

    def config(self, name: str, **sections: Any) -> str:
        """Write a configuration whose fits take some dozens of passes, saved after each."""
        whole = {
            "source": {"path": "rows.npy"},
            "model": {"n_components": 3, "n_init": 2, "tol": 1e-6},
            "checkpoint": {"every": "1 passes"},
            "cluster": {"n_workers": 1, "timeout": "60s"},
            "report": False,
            "diagnose": False,
        }
        file = self.path / f"{name}.yaml"
        file.write_text(yaml.safe_dump({**whole, **sections}))
        return file.name

    def start(self, *words: str) -> Started:
        """Start the program in a folder for its output."""
        return Started((str(PROGRAM), *words), self.path)

    def call(self, *words: str, deadline: float = DEADLINE) -> subprocess.CompletedProcess[str]:
        """Run the program to its end."""
        command = [str(PROGRAM), *words]
        return subprocess.run(
            command, cwd=self.path, capture_output=True, text=True, timeout=deadline, check=False
        )

    def ask(self, *words: str) -> Result:
        """Run the program's own function in this process: quicker than starting it."""
        before = Path.cwd()
        os.chdir(self.path)
        try:
            return CliRunner().invoke(app, list(words))
        finally:
            os.chdir(before)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Events of a run so far."""
        path = self.path / "runs" / name / "events.jsonl"
        if not path.is_file():
            return []
        lines = path.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def passes(self, name: str) -> int:
        """Passes of a run so far, over all its attempts."""
        numbers = [e["number"] for e in self.events(name) if e["event"] == "pass"]
        return max(numbers, default=0)

    def reach(self, run: Started, name: str, number: int) -> None:
        """Wait until a run has done so many passes; fail if it ended before."""
        eventually(lambda: self.passes(name) >= number or run.process.poll() is not None)
        assert run.process.poll() is None, run.err.read_text()

    def manifest(self, name: str) -> dict[str, Any]:
        """Manifest of a run."""
        manifest: dict[str, Any] = json.loads((self.path / "runs" / name / "run.json").read_text())
        return manifest

    def fingerprint(self, name: str) -> str:
        """Fingerprint of the model of a finished run."""
        manifest = self.manifest(name)
        assert manifest["status"] == "finished", manifest
        return str(manifest["model_fingerprint"])

    def bits(self, name: str) -> tuple[str, str]:
        """Fingerprints of the model and of the assignments of a finished run."""
        return self.fingerprint(name), str(self.manifest(name)["outputs"]["assignments"]["sha256"])
