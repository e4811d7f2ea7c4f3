"""Runs of the program that are killed at random until they finish, held against undisturbed ones.

    .venv-test/bin/python scripts/soak --runs 200 --seed 0 --minutes 25

Each run is a small fit on a local cluster, of threads or of two processes; its driver and its
workers are killed by SIGKILL at random moments, in start-up, among the passes and while outputs are
written. Prints a line for each run and the totals. Ends with exit code 1 if there was a hang, a
wrong hash, a checkpoint that cannot be read, an output half written, or an exit code that no kill
explains. A run is known by its number and the seed: ``--only 17`` repeats it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from cases import Bits, references, write_rows
from one_run import FAULTS, Result, one_run

TOTALS = ("kills of drivers", "kills of workers", "exits with 4", *FAULTS)


def main() -> None:
    arguments = parse()
    folder = Path(tempfile.mkdtemp(prefix="gmm-dask-soak-"))
    write_rows(folder)
    expected = references(folder)
    print(f"undisturbed: {len(expected)} models in {folder}", flush=True)
    began = time.monotonic()
    numbers = [arguments.only] if arguments.only is not None else list(range(arguments.runs))
    lanes = [
        lane(folder, expected, numbers[i :: arguments.at_once], arguments, began)
        for i in range(arguments.at_once)
    ]
    results = [result for pid, file in lanes for result in collected(pid, file)]
    raise SystemExit(summary(results, folder, time.monotonic() - began))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="no run starts later")
    parser.add_argument("--at-once", type=int, default=2, help="runs side by side")
    parser.add_argument("--only", type=int, help="the number of one run to repeat")
    return parser.parse_args()


def lane(
    folder: Path,
    expected: dict[str, Bits],
    numbers: list[int],
    arguments: argparse.Namespace,
    began: float,
) -> tuple[int, Path]:
    """Start a process that makes some of the runs one by one; return it and its file of results."""
    file = folder / f"results-{numbers[0] if numbers else 'none'}.jsonl"
    child = os.fork()
    if child:
        return child, file
    with file.open("w") as out:
        for number in numbers:
            if time.monotonic() - began > 60 * arguments.minutes:
                break
            result = one_run(folder, number, arguments.seed, expected)
            print(result.line, flush=True)
            print(json.dumps([result.line, result.counts]), file=out, flush=True)
    os._exit(0)


def collected(pid: int, file: Path) -> list[Result]:
    """Wait for a lane and return its results; what ended it is a fault of this script."""
    _, status = os.waitpid(pid, 0)
    if status:
        raise SystemExit(f"a lane ended with {status}: see the traceback above")
    return [Result(*json.loads(line)) for line in file.read_text().splitlines()]


def summary(results: list[Result], folder: Path, seconds: float) -> int:
    """Print the totals; return the exit code."""
    total: Counter[str] = sum((Counter(result.counts) for result in results), Counter())
    bad = sum(total[name] for name in FAULTS)
    print(f"\nruns {len(results)} in {seconds / 60:.1f} min")
    for name in TOTALS:
        print(f"{name} {total[name]}")
    if bad:
        print(f"what is left of the bad runs lies in {folder}")
    else:
        shutil.rmtree(folder)
    return int(bad > 0)


if __name__ == "__main__":
    main()
