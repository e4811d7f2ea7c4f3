"""Speed, as ratios in one run; nothing here is a test.

    python scripts/benchmark passes [--cases full/3/10 ...] [--rounds 5]
    python scripts/benchmark scaling | streaming | sweep

passes     one EM pass beside scikit-learn (and pyspark and pomegranate where installed), on a Dask
           cluster of two threads and on plain threads; log-likelihoods after the same passes from
           the same start must agree to 1e-6
scaling    two threads or workers over one, and what the engine adds to the kernels
streaming  a pass that reads zarr beside one over rows in memory, and beside reading alone
sweep      kernel times by covariance type, D and K: the cost model of `gmm-dask plan`

Each round times every engine once, so that a busy neighbour hits all alike; figures are medians of
the ratios of a round. Records go to scripts/results, with machine and date; `passes` with `--cases`
replaces these cases in the record and keeps the others.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import engine
import passes
import record
import sweep
from cases import CASES

RESULTS = Path(__file__).resolve().parents[1] / "results"


def measure_passes(rounds: int, chosen: list[str] | None) -> list[dict[str, Any]]:
    """Return the figures of each case as they come."""
    found = []
    for case in CASES:
        if not chosen or case.name in chosen:
            found.append(passes.run_case(case, rounds))
            print(json.dumps(found[-1]), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = ("passes", "scaling", "streaming", "sweep")
    parser.add_argument("what", choices=what, nargs="?", default="passes")
    parser.add_argument("--cases", nargs="*", help="such as full/3/10; all by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    found: Any = {
        "passes": lambda: measure_passes(options.rounds, options.cases),
        "scaling": lambda: engine.scaling(options.rounds),
        "streaming": lambda: engine.streaming(options.rounds),
        "sweep": lambda: sweep.sweep(options.rounds),
    }[options.what]()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{options.what}.json"
    if options.what == "passes":
        found = record.together(path, found)
    record.write(path, {"machine": record.machine(), "rounds": options.rounds, options.what: found})
    if options.what == "passes":
        (options.out / "passes.md").write_text(record.as_markdown(found) + "\n")
        record.plot(found, options.out / "passes.svg")
        print(record.as_markdown(found))
    else:
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
