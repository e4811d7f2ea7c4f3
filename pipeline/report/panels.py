"""What a report is told about distributions: histograms, densities, contours, counts, passes."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.report.parts import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Histogram:
    """Counts in bins.

    Parameters
    ----------
    edges : array of shape (n_bins + 1,)
    counts : array of shape (n_bins,)
    """

    edges: Array
    counts: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Contour:
    """The boundary of a component in the plane of two columns, in source units.

    Parameters
    ----------
    component : int
        Number of the component.
    sigma : float
        Mahalanobis radius, 1 or 2.
    points : array of shape (n_points, 2)
        Mapped back through the transforms; closed by the reader.
    """

    component: int
    sigma: float
    points: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """Two columns against each other, the leading pair first.

    Parameters
    ----------
    x, y : int
        Positions in `SourceFacts.columns`.
    x_edges : array of shape (n_x + 1,)
    y_edges : array of shape (n_y + 1,)
    counts : array of shape (n_x, n_y)
        As of `numpy.histogram2d`.
    contours : tuple of Contour
    """

    x: int
    y: int
    x_edges: Array
    y_edges: Array
    counts: Array
    contours: tuple[Contour, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Line:
    """The single column of one-dimensional data with the density of each component.

    Parameters
    ----------
    histogram : Histogram
    grid : array of shape (n_points,)
        Positions in source units.
    densities : array of shape (n_components, n_points)
        Weight times density per source unit, in the order of the components.
    """

    histogram: Histogram
    grid: Array
    densities: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Composition:
    """Rows of each category in each component, for one column of `colour_by`.

    Parameters
    ----------
    name : str
    categories : tuple of str
    counts : array of shape (n_components, n_categories)
    """

    name: str
    categories: tuple[str, ...]
    counts: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedding:
    """A two-dimensional map of the rows that took no part in the fit, such as a UMAP.

    Parameters
    ----------
    name : str
        "obsm/X_umap".
    x_edges : array of shape (n_x + 1,)
    y_edges : array of shape (n_y + 1,)
    counts : array of shape (n_x, n_y)
    medians : array of shape (n_components, 2)
        Median position of the rows of each component; nan without rows.
    """

    name: str
    x_edges: Array
    y_edges: Array
    counts: Array
    medians: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Widths:
    """What a fit finds that takes values with errors as exact.

    Parameters
    ----------
    std : array of shape (n_components, n_columns)
        Standard deviations in source units, of the components that those of the chosen mixture
        became, in their order.
    weights : array of shape (n_components,)
    error : array of shape (n_columns,)
        Root mean square error of each column; 0 where it has none.
    log_likelihood_per_row : float
    converged : bool
    """

    std: Array
    weights: Array
    error: Array
    log_likelihood_per_row: float
    converged: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Passes:
    """Time and work of each pass over the data.

    Parameters
    ----------
    seconds : array of shape (n_passes,)
    live_fits : array of shape (n_passes,)
    """

    seconds: Array
    live_fits: Array
