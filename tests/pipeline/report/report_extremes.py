"""Results of the largest and the most hostile kind: hardly anything is fitted here."""

from __future__ import annotations

import math

import numpy as np
from report_samples import CONFIG, fits, results_of, run_facts

from pipeline.report import (
    CandidateRow,
    Column,
    ComponentRow,
    Composition,
    Contour,
    Dropped,
    Embedding,
    Histogram,
    OutputFile,
    Pair,
    Passes,
    RestartRow,
    Results,
    SourceFacts,
    leading_pairs,
)


def huge_results(K: int = 200, D: int = 40, n_candidates: int = 100) -> Results:
    """Many components, columns, candidates and passes: nothing is fitted, all is random."""
    rng = np.random.default_rng(1)
    weights = np.sort(rng.dirichlet(np.ones(K)))[::-1]
    overlap = rng.uniform(0, 0.5, (K, K))
    overlap = np.minimum(overlap, overlap.T) + np.eye(K) * 0.5
    components = tuple(
        ComponentRow(
            number=k, weight=float(weights[k]), rows=int(1e9 * weights[k]),
            mean=rng.normal(0, 5, D), std=rng.uniform(0.1, 3, D), probability=0.8,
            entropy=0.4, partner=(k + 1) % K, overlap=0.31,
        )
        for k in range(K)
    )  # fmt: skip
    edges = np.linspace(-20, 20, 201)
    turn = np.linspace(0, 2 * np.pi, 500)
    pairs = tuple(
        Pair(
            x=a, y=b, x_edges=edges, y_edges=edges, counts=rng.poisson(900, (200, 200)) * 1.0,
            contours=tuple(
                Contour(component=k, sigma=s, points=np.column_stack([
                    components[k].mean[a] + s * np.cos(turn),
                    components[k].mean[b] + s * np.sin(turn)]))
                for k in range(min(K, 40)) for s in (1.0, 2.0)
            ),
        )
        for a, b in leading_pairs(components, 8)
    )  # fmt: skip
    return Results(
        run=run_facts(10**9, name="huge", config=CONFIG * 2000),
        source=SourceFacts(name="s3://bucket/many", columns=tuple(
            Column(name=f"latent_{i}") for i in range(D))),
        candidates=tuple(_random_candidate(rng, i, K) for i in range(n_candidates)),
        chosen=n_candidates - 1, criterion="held_out", rule="one_standard_error",
        components=components, overlap=overlap, n_ambiguous=61_000_000, pairs=pairs,
        probability=Histogram(edges=np.linspace(0, 1, 1001), counts=rng.poisson(9e5, 1000) * 1.0),
        log_density=Histogram(edges=np.linspace(-90, 0, 901), counts=rng.poisson(9e5, 900) * 1.0),
        compositions=tuple(
            Composition(name=f"obs/batch_{t}", categories=tuple(f"b{i}" for i in range(1000)),
                        counts=rng.poisson(50, (K, 1000)) * 1.0)
            for t in range(2)
        ),
        passes=Passes(seconds=rng.uniform(1, 2, 5000), live_fits=np.full(5000, 7.0)),
        warnings=tuple(f"Component {k} sits on identical rows." for k in range(400)),
    )  # fmt: skip


def _random_candidate(rng: np.random.Generator, i: int, K: int) -> CandidateRow:
    restarts = tuple(
        RestartRow(number=r, init="kmeans", lower_bound=-50.0 + rng.uniform(0, 1), n_iter=1000,
                   outcome="CONVERGED", problems=("component 3 is flat in latent_1",))
        for r in range(20)
    )  # fmt: skip
    size = -80.0 + i / 10
    return CandidateRow(
        n_components=K - 2 * (99 - i), covariance_type="full", log_likelihood_per_row=size,
        n_rows=9e8, n_parameters=172_199, bic=1.8e9 * -size, aic=1.8e9 * -size,
        icl=1.8e9 * -size + 5, held_out=size - 0.1, held_out_error=0.01, starts_agree=1,
        n_init=20, n_iter=1000, converged=i % 2 == 0, note="x" * 50, restarts=restarts,
        trace=np.linspace(size - 20, size, 1000),
    )  # fmt: skip


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=http://evil.example/x onerror=alert(2)>',
    "$\\frac{a",
    "=cmd|' /C calc'!A0",
    "a,b\nc\r\x00\ud800\u202e",
    "列名 " + "long " * 400,
    "{{ 7*7 }}{% raw %}",
    "]]></style><style>*{display:none}--><!--",
)


def hostile_results() -> Results:
    """Every string of the user's is an attack, and numbers are missing."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(400, 8)) + 4 * rng.integers(0, 2, (400, 1))
    candidates, models = fits(X, [1, 2, 3], ["full"], 2)
    columns = [Column(name=text, unit=text) for text in HOSTILE]
    odd = _broken(candidates[2])
    return results_of(
        X, columns, (*candidates[:2], odd), models[1], 1,
        run=run_facts(400, **{
            part: HOSTILE[i % 8] for i, part in enumerate(
                ("name", "title", "command", "version", "started", "finished", "exit_reason",
                 "config", "fingerprint"))},
            dropped=tuple(Dropped(reason=text, rows=1) for text in HOSTILE),
            files=tuple(OutputFile(name=t, path=t, note=t, sha256=t) for t in HOSTILE)),
        source=SourceFacts(name=HOSTILE[1], columns=tuple(columns), transforms=HOSTILE,
                           density_note=HOSTILE[0]),
        compositions=tuple(
            Composition(name=text, categories=HOSTILE, counts=rng.poisson(9, (2, 8)) * 1.0)
            for text in HOSTILE[:3]),
        embedding=Embedding(name=HOSTILE[0], x_edges=np.arange(4.0), y_edges=np.arange(3.0),
                            counts=np.zeros((3, 2)), medians=np.full((2, 2), np.nan)),
        log_density=Histogram(edges=np.array([-np.inf, 0.0, 1.0]), counts=np.array([3.0, 4.0])),
        warnings=HOSTILE,
    )  # fmt: skip


def _broken(row: CandidateRow) -> CandidateRow:
    parts = {field: getattr(row, field) for field in row.__dataclass_fields__}
    nothing = dict.fromkeys(("bic", "aic", "icl", "held_out", "held_out_error"), math.nan)
    restart = RestartRow(
        number=0, init=HOSTILE[0], lower_bound=math.inf, n_iter=3, outcome=HOSTILE[1],
        problems=HOSTILE,
    )  # fmt: skip
    return CandidateRow(**(parts | nothing | {
        "covariance_type": HOSTILE[2], "log_likelihood_per_row": math.inf, "ranked": False,
        "converged": False, "note": HOSTILE[0], "restarts": (restart,),
        "trace": np.array([np.nan, -np.inf]),
    }))  # fmt: skip
