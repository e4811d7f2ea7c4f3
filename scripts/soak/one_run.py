"""One run: attempt after attempt, killed at random moments, until one finishes."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from cases import MODELS, PROCESSES, THREADS, Bits, bits_of, write_config
from driver import Driver
from left_behind import damage, is_finished

HANG_SECONDS = 120.0
ATTEMPTS = 12
# how many runs have workers that are processes, which take seconds to start
PROCESS_SHARE = 0.2
FAULTS = (
    *("hangs", "wrong hashes", "unreadable checkpoints", "half-written outputs"),
    "unexplained exits",
)


class Result(NamedTuple):
    """How a run went."""

    line: str
    counts: dict[str, int]


class Moment(NamedTuple):
    """When a kill falls: a state that is waited for, and seconds after it."""

    passes: int
    """Of this run so far; -1 from the start, 0 with the driver at work."""
    writing: bool
    after: float


@dataclass
class Soaked:
    """A run under way.

    Parameters
    ----------
    folder : Path
    name : str
    config : str
    rng : numpy.random.Generator
    passes : int
        Of the undisturbed run.
    processes : bool
        Whether its workers can be killed.
    kills : int
        Still to come.
    """

    folder: Path
    name: str
    config: str
    rng: np.random.Generator
    passes: int
    processes: bool
    kills: int
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def bad(self, kind: str, note: str) -> None:
        """Count a fault and say what it was."""
        self.counts[kind] += 1
        self.notes.append(f"{kind}: {note}")

    def moment(self, done: int) -> Moment:
        """Draw when the next kill falls, after so many passes."""
        where = self.rng.random()
        if where < 0.2:
            return Moment(-1, False, self.rng.uniform(0.0, 1.5))
        if where < 0.8 and done < self.passes:
            return Moment(
                int(self.rng.integers(done, self.passes)), False, self.rng.uniform(0, 0.1)
            )
        return Moment(0, True, self.rng.uniform(0.0, 0.5))


def one_run(folder: Path, number: int, seed: int, expected: Mapping[str, Bits]) -> Result:
    """Make one run and return how it went."""
    rng = np.random.default_rng([seed, number])
    model = str(rng.choice(list(MODELS)))
    processes = bool(rng.random() < PROCESS_SHARE)
    every, cache = int(rng.integers(1, 4)), str(rng.choice(["memory", "stream"]))
    cluster = {**(PROCESSES if processes else THREADS), "cache": cache}
    name = f"run-{number}"
    config = write_config(folder, name, model, cluster, checkpoint={"every": f"{every} passes"})
    kills = 1 + int(rng.poisson(2.0))
    run = Soaked(folder, name, config, rng, expected[model].passes, processes, kills)
    began = time.monotonic()
    if attempts(run) and bits_of(folder, name)[:2] != expected[model][:2]:
        run.bad("wrong hashes", f"{bits_of(folder, name)} is not {expected[model]}")
    bad = bool(run.notes)
    if not bad:
        shutil.rmtree(folder / "runs" / name)
    return Result(_line(number, model, processes, run, time.monotonic() - began), dict(run.counts))


def _line(number: int, model: str, processes: bool, run: Soaked, seconds: float) -> str:
    kind = "processes" if processes else "threads"
    drivers, workers = run.counts["kills of drivers"], run.counts["kills of workers"]
    killed = f"killed {drivers} drivers, {workers} workers"
    end = "; ".join(run.notes) or "the same bits"
    return f"run {number:3d}  {model:9} {kind:9}  {killed}, {seconds:5.1f} s: {end}"


def attempts(run: Soaked) -> bool:
    """Start the program again and again; return whether it finished."""
    for _ in range(ATTEMPTS):
        driver = Driver(run.folder, run.name, run.config)
        try:
            code = attempt(run, driver)
        finally:
            driver.close()
        if code is None:
            run.bad("hangs", f"no end within {HANG_SECONDS:g} s")
            return False
        for kind, note in damage(driver.run):
            run.bad(kind, note)
        if code == 0:
            if not is_finished(driver.run):
                run.bad("half-written outputs", "it ended with 0, and the gate refuses it")
            return True
        if code == 4 and run.processes:  # of many workers killed in one pass; the next goes on
            run.counts["exits with 4"] += 1
        elif code != -9:
            run.bad("unexplained exits", f"{code}: {driver.told()[-300:]}")
            return False
    run.bad("hangs", f"not finished after {ATTEMPTS} attempts")
    return False


def attempt(run: Soaked, driver: Driver) -> int | None:
    """Watch one attempt, kill what is to be killed; return its exit code, None if it hangs."""
    end = time.monotonic() + HANG_SECONDS
    while run.kills and driver.poll() is None:
        if not reached(run, driver, end):
            break
        run.kills -= 1
        if run.processes and run.rng.random() < 0.5:
            run.counts["kills of workers"] += driver.kill_worker(run.rng.random())
        elif driver.kill():
            run.counts["kills of drivers"] += 1
    return driver.wait(max(end - time.monotonic(), 0.0))


def reached(run: Soaked, driver: Driver, end: float) -> bool:
    """Wait for the moment of a kill; return whether it came before the end of the attempt."""
    moment = run.moment(passes(driver.events()))
    while driver.poll() is None and time.monotonic() < end:
        events = driver.events() if moment.passes >= 0 else []
        fitted = any(event["event"] == "pass" and event["live"] == 0 for event in events)
        if moment.passes < 0 or (fitted if moment.writing else passes(events) >= moment.passes):
            driver.wait(moment.after)
            return driver.poll() is None
        time.sleep(0.005)
    return False


def passes(events: list[dict[str, Any]]) -> int:
    """Return the passes of a run, over all its attempts."""
    return max((event["number"] for event in events if event["event"] == "pass"), default=0)
