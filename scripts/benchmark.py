"""Time one EM pass beside scikit-learn's, interleaved in one run; write a table and a plot.

    .venv-test/bin/python scripts/benchmark.py [--cases full/3/10] [--rounds 3]

Each round times every engine once, so that a busy neighbour hits all alike; figures are medians of
the ratios of a round. The product runs on two threads, once on a Dask cluster with rows enough for
half a second a pass, once on plain threads with 4e5 rows. scikit-learn runs with one and with two
BLAS threads, the better of a round counts. All begin at the same parameters; log-likelihoods after
the same number of passes on the same rows must agree to 1e-6. Peers are timed on fewer rows: their
time a row is checked to be constant.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnMixture
from threadpoolctl import threadpool_limits

from gmm_dask import (
    ArraySource,
    Engine,
    Grid,
    LocalEngine,
    Source,
    __version__,
    find_frame,
    spool,
)
from gmm_dask.fits.em import EM
from gmm_dask.search import Ground, restarts

PASSES = 3
PEER_PASSES = 3
HEAD = (
    "| covariance, D, K | Dask, 2 threads | plain threads, 4e5 rows | ns per row and component | "
    "of the dense bound |"
)
ROOT = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    covariance_type: str
    columns: int
    components: int
    rows: int
    peer_rows: int
    wanted: float
    bound: float
    """Nanoseconds a row and component that dense arithmetic needs on two cores."""

    @property
    def name(self) -> str:
        return f"{self.covariance_type}/{self.columns}/{self.components}"


CASES = (
    Case("full", 3, 10, 20_000_000, 500_000, 40, 0.7),
    Case("full", 10, 20, 5_000_000, 400_000, 30, 2.75),
    Case("full", 32, 50, 400_000, 50_000, 6.5, 21),
    Case("full", 50, 100, 200_000, 40_000, 9, 50),
    Case("tied", 10, 20, 10_000_000, 400_000, 20, 0.6),
    Case("tied", 32, 50, 2_000_000, 50_000, 20, 1.6),
    Case("diag", 10, 20, 10_000_000, 400_000, 8, 0.8),
    Case("diag", 32, 50, 2_000_000, 50_000, 4, 2.7),
    Case("spherical", 10, 20, 10_000_000, 400_000, 6, 0.6),
)


class Data(NamedTuple):
    """Rows of clusters, and the parameters at which every engine begins."""

    rows: np.ndarray
    start: dict[str, np.ndarray]


def make_data(case: Case, n_rows: int) -> Data:
    """Return overlapping clusters with correlated columns."""
    rng = np.random.default_rng(7)
    K, D = case.components, case.columns
    centres = 2.5 * rng.normal(size=(K, D))
    mix = np.eye(D) + 0.3 * rng.normal(size=(D, D)) / np.sqrt(D)
    rows = np.empty((n_rows, D))
    for lo in range(0, n_rows, 1_000_000):
        n = min(1_000_000, n_rows - lo)
        rows[lo : lo + n] = rng.normal(size=(n, D)) @ mix + centres[rng.integers(K, size=n)]
    total = np.cov(rows[:100_000].T).reshape(D, D)
    covariances = {
        "full": np.repeat(total[None], K, axis=0),
        "tied": total,
        "diag": np.repeat(np.diag(total)[None], K, axis=0),
        "spherical": np.full(K, np.diag(total).mean()),
    }[case.covariance_type]
    means = centres + 0.3 * rng.normal(size=(K, D))
    return Data(rows, {"weights": np.full(K, 1 / K), "means": means, "covariances": covariances})


def peer_pass(case: Case, data: Data, threads: int) -> tuple[float, float]:
    """Return seconds of one pass of scikit-learn, and the log-likelihood after a few."""
    S = data.start["covariances"]
    inverse = np.linalg.inv(S) if case.covariance_type in ("full", "tied") else 1 / S
    seconds = []
    for passes in (1, 1 + PEER_PASSES):
        model = SklearnMixture(
            case.components,
            covariance_type=case.covariance_type,
            tol=0.0,
            reg_covar=1e-6,
            max_iter=passes,
            weights_init=data.start["weights"],
            means_init=data.start["means"],
            precisions_init=inverse,
        )
        with threadpool_limits(threads), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            began = time.perf_counter()
            model.fit(data.rows)
            seconds.append(time.perf_counter() - began)
    return (seconds[1] - seconds[0]) / PEER_PASSES, float(model.lower_bound_)


def begin(case: Case, data: Data, engine: Engine, folder: Path | None = None) -> tuple[EM, Source]:
    """Return EM at the start parameters, and the rows as the engine reads them."""
    source: Source = ArraySource(data.rows)
    if folder is not None:
        source = spool(source, folder / f"{case.name.replace('/', '-')}.zarr", 65536)
    grid = Grid(
        (case.components,), (case.covariance_type,), tol=0.0, max_iter=10**6, reg_covar=1e-6
    )
    frame, _ = find_frame(engine, source)
    fit = restarts(grid, Ground(frame, data.rows[:1000]), data.start)[0].em
    assert fit is not None
    return fit.tell(engine.fold(fit.ask(), source)), source  # the first pass compiles and places


def own_pass(fit: EM, source: Source, engine: Engine) -> tuple[float, EM]:
    """Return seconds of one pass, M-step included, and the fit after it."""
    began = time.perf_counter()
    for _ in range(PASSES):
        fit = fit.tell(engine.fold(fit.ask(), source))
    return (time.perf_counter() - began) / PASSES, fit


def agree(case: Case, data: Data, engine: Engine) -> float:
    """Return the difference of log-likelihoods per row after the same passes on the same rows."""
    fit, source = begin(case, data, engine)
    _, fit = own_pass(fit, source, engine)
    return abs(fit.lower_bounds[-1] - peer_pass(case, data, 1)[1])


def run_case(
    case: Case, rounds: int, engine: Engine, threads: LocalEngine, folder: Path
) -> dict[str, object]:
    """Return the figures of one case."""
    small = make_data(case, case.peer_rows)
    half = Data(small.rows[: case.peer_rows // 2], small.start)
    difference = agree(case, small, threads)
    cluster, plain = make_data(case, case.rows), make_data(case, 400_000)
    states = {
        "cluster": begin(case, cluster, engine, folder),
        "threads": begin(case, plain, threads),
    }
    del cluster
    engines: dict[str, tuple[Engine, int]] = {
        "cluster": (engine, case.rows),
        "threads": (threads, 400_000),
    }
    seconds: dict[str, list[float]] = {n: [] for n in (*states, "peer_1", "peer_2", "peer_half")}
    for _ in range(rounds):
        for name, (fit, source) in states.items():
            spent, fit = own_pass(fit, source, engines[name][0])
            states[name] = (fit, source)
            seconds[name].append(spent / engines[name][1])
        for blas in (1, 2):
            seconds[f"peer_{blas}"].append(peer_pass(case, small, blas)[0] / len(small.rows))
        seconds["peer_half"].append(peer_pass(case, half, 1)[0] / len(half.rows))
    each = case.components / 1e9
    median = {name: statistics.median(values) for name, values in seconds.items()}
    better = min(("peer_1", "peer_2"), key=lambda name: median[name])
    ratios = {n: [p / s for p, s in zip(seconds[better], seconds[n], strict=True)] for n in states}
    median["peer"] = median[better]
    return {
        **asdict(case),
        "ratio_cluster": statistics.median(ratios["cluster"]),
        "ratio_threads": statistics.median(ratios["threads"]),
        "seconds_pass_cluster": median["cluster"] * case.rows,
        "ns_row_component": {name: value / each for name, value in median.items()},
        "of_bound": case.bound / (median["cluster"] / each),
        "peer_linearity": median["peer_half"] / median["peer_1"],
        "log_likelihood_difference": difference,
    }


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu,
        "python": platform.python_version(),
        "gmm-dask": __version__,
    }


def as_markdown(record: dict[str, object]) -> str:
    """Return the table that the README shows."""
    lines = [
        HEAD,
        "|---|---|---|---|---|",
    ]
    for row in record["cases"]:  # type: ignore[attr-defined]
        ns = row["ns_row_component"]
        lines.append(
            f"| {row['covariance_type']} {row['columns']}, {row['components']} | "
            f"{row['ratio_cluster']:.1f}x | {row['ratio_threads']:.1f}x | "
            f"{ns['cluster']:.2f} (scikit-learn {ns['peer']:.0f}) | {row['of_bound']:.0%} |"
        )
    return "\n".join(lines)


def plot(record: dict[str, object], path: Path) -> None:
    """Draw the ratios as bars."""
    from matplotlib.figure import Figure

    rows = record["cases"]
    names = [f"{r['covariance_type']} {r['columns']}, {r['components']}" for r in rows]  # type: ignore[attr-defined]
    ratios = [r["ratio_cluster"] for r in rows]  # type: ignore[attr-defined]
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(names[::-1], ratios[::-1], color="#1c6ea4")
    axes.set_xlabel("times faster than scikit-learn, one EM pass, two cores")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def on_cluster(work: Callable[[Engine], None]) -> None:
    """Run on one local worker process of two threads."""
    from distributed import Client, LocalCluster

    from gmm_dask import DaskEngine

    options = {"host": "127.0.0.1", "dashboard_address": None, "memory_limit": 0}
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, **options) as cluster,
        Client(cluster) as client,
        DaskEngine(client, "memory") as engine,
    ):
        work(engine)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", nargs="*", help="such as full/3/10; all by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT)
    arguments = parser.parse_args()
    chosen = [c for c in CASES if not arguments.cases or c.name in arguments.cases]
    record: dict[str, object] = {"machine": machine(), "rounds": arguments.rounds, "cases": []}

    for case in chosen:

        def one(engine: Engine, case: Case = case) -> None:
            with tempfile.TemporaryDirectory(prefix="gmm-dask-benchmark-") as folder:
                figures = run_case(case, arguments.rounds, engine, LocalEngine(2), Path(folder))
            record["cases"].append(figures)  # type: ignore[attr-defined]

        on_cluster(one)
        print(json.dumps(record["cases"][-1]), flush=True)  # type: ignore[index]
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "benchmark.json").write_text(json.dumps(record, indent=1) + "\n")
    (arguments.out / "benchmark.md").write_text(as_markdown(record) + "\n")
    plot(record, arguments.out / "benchmark.svg")
    print(as_markdown(record))


if __name__ == "__main__":
    main()
