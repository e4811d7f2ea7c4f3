"""Whole EM passes beside other packages, interleaved: the table of the README."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import own
import peers
from cases import PLAIN_ROWS, Case, Data, make_data

Seconds = dict[str, list[float]]


def run_case(case: Case, rounds: int) -> dict[str, Any]:
    """Return the figures of one case: medians over rounds, ratios within a round."""
    small = make_data(case, case.peer_rows)
    difference = agreement(case, small)
    with (
        own.on_cluster(1, 2) as cluster,
        tempfile.TemporaryDirectory(prefix="gmm-dask-benchmark-") as folder,
    ):
        states = {
            "cluster": own.begin(case, make_data(case, case.rows), cluster, Path(folder)),
            "threads": own.begin(case, make_data(case, PLAIN_ROWS), own.on_threads(2)),
        }
        seconds = measure(case, small, states, rounds)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    better = min(("sklearn_1", "sklearn_2"), key=lambda name: median[name])
    each = case.components / 1e9
    return {
        **asdict(case),
        "name": case.name,
        "seconds_pass": median["cluster"] * case.rows,
        "better_sklearn": better,
        "ns_row_component": {name: value / each for name, value in median.items()},
        "ratio": {name: ratio(seconds[better], seconds[name]) for name in states},
        "against": {name: ratio(seconds[name], seconds["cluster"]) for name in peers.others(case)},
        "of_bound": case.bound / (median["cluster"] / each),
        "sklearn_linearity": median["sklearn_half"] / median["sklearn_1"],
        "log_likelihood_difference": difference,
    }


def measure(case: Case, small: Data, states: dict[str, own.Running], rounds: int) -> Seconds:
    """Time every engine once in each round, in seconds a row."""
    found: Seconds = {}
    half, running = small.head(case.peer_rows // 2), dict(states)
    for _ in range(rounds):
        for name, state in running.items():
            spent, running[name] = state.passed()
            found.setdefault(name, []).append(spent)
        for threads in (1, 2):
            spent = peers.sklearn_pass(case, small, threads)[0] / len(small.rows)
            found.setdefault(f"sklearn_{threads}", []).append(spent)
        spent = peers.sklearn_pass(case, half, 1)[0] / len(half.rows)
        found.setdefault("sklearn_half", []).append(spent)
        for name, timed in peers.others(case).items():
            found.setdefault(name, []).append(timed(case, small) / len(small.rows))
    return found


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """Return the median over rounds of how many times faster we are."""
    return statistics.median(a / b for a, b in zip(theirs, ours, strict=True))


def agreement(case: Case, data: Data) -> float:
    """Return the difference of log-likelihoods per row after the same passes on the same rows."""
    state = own.begin(case, data, own.on_threads(2))
    _, state = state.passed()
    found = abs(state.fit.lower_bounds[-1] - peers.sklearn_pass(case, data, 1)[1])
    assert found < 1e-6, f"{case.name}: log-likelihoods differ by {found}"
    return found
