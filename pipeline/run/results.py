"""From a fitted grid to the stored results that the report is made of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gmm_dask import Candidate, Engine, RowLayout, Sample, bhattacharyya, describe
from pipeline.report.panels import Contour, Histogram, Line, Pair
from pipeline.report.parts import CandidateRow, Column, ComponentRow, RestartRow, SourceFacts
from pipeline.report.ranking import leading_pairs
from pipeline.run.fitting import Fitted
from pipeline.stages.figures import (
    Figures,
    FigureSums,
    FloatArray,
    View,
    edges_of,
    ellipse,
)
from pipeline.stages.seen import Sight

MOST_PAIRS = 6
SAMPLE = 8192


def candidate_rows(fitted: Fitted) -> tuple[CandidateRow, ...]:
    """Return all candidates as the report wants them."""
    return tuple(_candidate_row(candidate) for candidate in fitted.result.candidates)


def _candidate_row(candidate: Candidate) -> CandidateRow:
    restarts = tuple(
        RestartRow(
            number=restart.number,
            init=restart.init,
            lower_bound=restart.lower_bound,
            n_iter=restart.n_iter,
            outcome=restart.outcome,
            problems=restart.problems,
            fate=restart.fate,
            behind=restart.given_up.behind if restart.given_up else math.nan,
        )
        for restart in candidate.restarts
    )
    return CandidateRow(
        n_components=candidate.n_components,
        covariance_type=candidate.covariance_type,
        log_likelihood_per_row=candidate.log_likelihood_per_row,
        n_rows=candidate.n_rows,
        n_parameters=candidate.n_parameters,
        bic=candidate.bic,
        aic=candidate.aic,
        icl=candidate.icl,
        icl_map=candidate.icl_map,
        held_out=candidate.held_out,
        held_out_error=candidate.held_out_error,
        stability=candidate.stability,
        stability_neighbours=candidate.agreement.neighbours,
        restarts_compared=candidate.agreement.n_restarts,
        starts_agree=candidate.starts_agree,
        n_init=len(candidate.restarts),
        n_iter=candidate.best.n_iter,
        converged=candidate.converged,
        ranked=not candidate.degenerate,
        note="; ".join(candidate.best.problems),
        restarts=restarts,
        trace=np.asarray(candidate.lower_bounds),
    )


class Shown:
    """The chosen mixture in the columns that the report shows.

    These are the source columns; after a transform that reduces them, the scores follow.

    Parameters
    ----------
    fitted : Fitted
    """

    def __init__(self, fitted: Fitted) -> None:
        mixture, transform = fitted.candidate.mixture, fitted.transform
        self.after = transform.reduces
        self.columns = transform.before + (transform.after if self.after else ())
        inner_means, inner, periods, self.names = describe(mixture)
        pairs = zip(inner_means, inner, strict=True)
        outer = np.stack([transform.invert_covariance(mean, S) for mean, S in pairs])
        source_means = transform.invert(inner_means)
        std = np.sqrt(np.diagonal(outer, axis1=1, axis2=2).clip(0))
        if self.after:
            inner_std = np.sqrt(np.diagonal(inner, axis1=1, axis2=2))
            self.means = np.concatenate([source_means, inner_means], axis=1)
            self.std = np.concatenate([std, inner_std], axis=1)
        else:
            self.means, self.std = source_means, std
        self.inner_means, self.inner, self.weights = inner_means, inner, mixture.pooled
        size = mixture.frame.scale  # in the frame neither units nor offsets cost digits
        away = (inner_means - mixture.frame.shift) / size
        self.overlap = bhattacharyya(away, inner / np.outer(size, size), periods / size)
        self.is_background = np.array([name == "background" for name in self.names])

    @property
    def offset(self) -> int:
        """Position, among the shown columns, of the first one that histograms are made of."""
        return len(self.columns) - self.inner_means.shape[1] if self.after else 0


def figures_of(
    fitted: Fitted, shown: Shown, engine: Engine, wanted: tuple[tuple[str, str], ...] | None
) -> tuple[FigureSums, tuple[View, ...], FloatArray]:
    """Return the counts of all figures, in one pass, with their views and density edges."""
    table, transform = fitted.table, fitted.transform
    seed = fitted.grid.seed
    fold = Sample(SAMPLE, len(table.columns), seed)
    sample = engine.fold(fold, table).values
    sight = Sight(fitted.candidate.mixture, transform, fitted.layout)
    seen = sight.see(sight.prepare(), sample)
    visible = seen.inner.values if shown.after else seen.values
    views = _wanted_views(wanted, shown, visible) if wanted else _leading_views(shown, visible)
    edges = edges_of(seen.log_density, 60)
    mixture, layout = fitted.candidate.mixture, fitted.layout
    figures = Figures(mixture, transform, views, shown.after, edges, layout)
    return engine.fold(figures, table), views, edges


def _leading_views(shown: Shown, visible: FloatArray) -> tuple[View, ...]:
    """Return the views of the pairs of columns that separate the components best."""
    if visible.shape[1] == 1:
        return (View((0,), (edges_of(visible[:, 0]),)),)
    first = shown.offset
    rows = [
        ComponentRow(number=k, weight=float(w), rows=0, mean=mean[first:], std=std[first:])
        for k, (w, mean, std) in enumerate(zip(shown.weights, shown.means, shown.std, strict=True))
    ]
    pairs = leading_pairs(rows, MOST_PAIRS)
    edges = {c: edges_of(visible[:, c]) for c in {c for pair in pairs for c in pair}}
    return tuple(View((a, b), (edges[a], edges[b])) for a, b in pairs)


def _wanted_views(
    wanted: tuple[tuple[str, str], ...], shown: Shown, visible: FloatArray
) -> tuple[View, ...]:
    names = shown.columns[shown.offset :]
    views = []
    for a, b in wanted:
        if a in names and b in names:
            i, j = names.index(a), names.index(b)
            views.append(View((i, j), (edges_of(visible[:, i]), edges_of(visible[:, j]))))
    return tuple(views) or _leading_views(shown, visible)


def pair_panels(
    fitted: Fitted, shown: Shown, views: tuple[View, ...], sums: FigureSums
) -> tuple[Pair, ...]:
    """Return the two-dimensional histograms with the contours of every component."""
    panels = []
    for view, counts in zip(views, sums.views, strict=True):
        if len(view.columns) == 2:
            a, b = view.columns
            contours = _contours(fitted, shown, a, b)
            x, y = a + shown.offset, b + shown.offset
            ex, ey = view.edges
            panels.append(Pair(x=x, y=y, x_edges=ex, y_edges=ey, counts=counts, contours=contours))
    return tuple(panels)


def _contours(fitted: Fitted, shown: Shown, a: int, b: int) -> tuple[Contour, ...]:
    outlines = []
    plane = np.ix_([a, b], [a, b])
    for k, (mean, covariance) in enumerate(zip(shown.inner_means, shown.inner, strict=True)):
        for sigma in (1.0, 2.0) if not shown.is_background[k] else ():
            points = ellipse(mean[[a, b]], covariance[plane], sigma)
            if not shown.after and fitted.transform.steps:
                rows = np.repeat(mean[None], len(points), axis=0)
                rows[:, [a, b]] = points
                points = _back(fitted, rows, a, b, mean, covariance, sigma)
            outlines.append(Contour(component=k, sigma=sigma, points=points))
    return tuple(outlines)


def _back(
    fitted: Fitted,
    rows: FloatArray,
    a: int,
    b: int,
    mean: FloatArray,
    covariance: FloatArray,
    sigma: float,
) -> FloatArray:
    """Map a contour back: point by point where columns stay themselves, linearised after pca."""
    transform = fitted.transform
    if any(step.name == "pca" for step in transform.steps):
        centre = transform.invert(mean[None])[0]
        outer = transform.invert_covariance(mean, covariance)
        return ellipse(centre[[a, b]], outer[np.ix_([a, b], [a, b])], sigma)
    return transform.invert(rows)[:, [a, b]]


def line_panel(
    fitted: Fitted, shown: Shown, views: tuple[View, ...], sums: FigureSums
) -> Line | None:
    """Return the histogram and component densities of one-dimensional data, or None."""
    if len(views[0].columns) != 1:
        return None
    edges = views[0].edges[0]
    grid = np.linspace(edges[0], edges[-1], 400)
    histogram = Histogram(edges=edges, counts=sums.views[0])
    if fitted.candidate.mixture.family.compound:
        return Line(histogram=histogram, grid=grid, densities=_joint(fitted, grid))
    inner = fitted.transform.apply(grid[:, None]) if not shown.after else grid[:, None]
    jacobian = 0.0 if shown.after else fitted.transform.log_jacobian(grid[:, None])
    variance = shown.inner[:, 0, 0]
    z = (inner[:, 0] - shown.inner_means) / np.sqrt(variance)[:, None]
    log_density = -0.5 * z**2 - 0.5 * np.log(2 * np.pi * variance)[:, None] + jacobian
    return Line(
        histogram=histogram, grid=grid, densities=shown.weights[:, None] * np.exp(log_density)
    )


def _joint(fitted: Fitted, grid: FloatArray) -> FloatArray:
    """Return each component's share of the density (K, n) on a grid of one column."""
    sight = Sight(fitted.candidate.mixture, fitted.transform, RowLayout(1, missing=True))
    seen = sight.see(sight.prepare(), grid[:, None])
    joint: FloatArray = (seen.resp * np.exp(seen.log_density)[:, None]).T
    return joint


def component_rows(shown: Shown, sums: FigureSums) -> tuple[ComponentRow, ...]:
    """Return the components of the chosen mixture, in source units."""
    rows = []
    others = shown.overlap - 2 * np.eye(len(shown.overlap))
    for k, weight in enumerate(shown.weights):
        n = float(sums.labels[k])
        partner = int(others[k].argmax()) if len(others) > 1 else None
        rows.append(
            ComponentRow(
                number=k,
                name=shown.names[k] if shown.is_background[k] else "",
                weight=float(weight),
                rows=int(n),
                mean=shown.means[k],
                std=shown.std[k],
                probability=float(sums.label_probability[k]) / n if n else math.nan,
                entropy=float(sums.label_entropy[k]) / n if n else math.nan,
                partner=partner,
                overlap=float(others[k].max()) if partner is not None else math.nan,
            )
        )
    return tuple(rows)


def source_facts(fitted: Fitted, shown: Shown, described: dict[str, Any]) -> SourceFacts:
    """Return where the rows come from, in words."""
    units = described.get("units", {})
    note = ""
    if fitted.transform.reduces:
        note = (
            f"Densities, scores and criteria are those of the {len(fitted.transform.after)} "
            "principal components: they cannot be compared between different numbers of them."
        )
    return SourceFacts(
        name=str(described.get("path", described.get("format", ""))),
        columns=tuple(Column(name=name, unit=units.get(name, "")) for name in shown.columns),
        transforms=tuple(fitted.transform.describe()),
        density_note=note,
        n_derived=len(shown.columns) - len(fitted.transform.before),
    )


def warnings_of(fitted: Fitted) -> tuple[str, ...]:
    """Return what only the run knows and the reader must: degenerate fits and dropped rows."""
    candidate = fitted.candidate
    found = []
    if candidate.degenerate:
        found.append(f"Every restart is degenerate ({'; '.join(candidate.best.problems)}).")
    for other in fitted.result.candidates:
        if other.degenerate and other is not candidate:
            name = f"K={other.n_components} {other.covariance_type}"
            why = "; ".join(other.best.problems)
            found.append(f"{name} is degenerate in every restart and was not ranked: {why}.")
    for reason, rows in fitted.table.dropped.items():
        if reason.endswith("missing"):
            found.append(
                f"{rows:,} rows were dropped because a value of the filter is missing "
                f"({reason}): add 'or ... is null' to source.filter to keep them."
            )
    return tuple(found)
