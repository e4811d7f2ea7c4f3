"""Single precision: tiles, densities and shares of float32, and what that costs.

A row is brought into the frame in float64 and rounded there, so an offset of the data costs
nothing. What is lost is lost about the origin of the frame: a coordinate of a component whose
mean lies m away is rounded by about u |m|, u = 2^-24, which is beside its standard deviation s an
error of u |m| / s. `error_bound` adds up such errors; what exceeds `LIMIT` is refused.

Parameters are rounded to float32 once, and moments taken about the rounded means are shifted to
the given means in float64, so that no error of a mean repeats in every row.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dtrtri

from gmm_dask.blocks import FloatArray
from gmm_dask.errors import ConfigError
from gmm_dask.kernels.layout import Layout, cancellation, form_of, layout
from gmm_dask.kernels.types import GaussianMoments, GaussianPrepared

LIMIT = 1e-3
"""Of a covariance. Estimated from n rows, a variance has a standard error of sqrt(2 / n) of
itself: what is refused would be the larger error from two million rows of a component on."""

UNIT = 2.0**-24
"""The largest relative error of rounding to float32."""

KEPT_DOUBLE = "sums about a common origin would cancel in float32"
"""Why a tied model whose components lie far apart is computed in float64 all the same."""

SAFETY = 4.0
"""The bound over the root of the mean square: four standard errors."""


def error_bound(prepared: GaussianPrepared, log_weights: FloatArray) -> FloatArray:
    r"""Bound what float32 costs a component, as a fraction of its own covariance.

    Parameters
    ----------
    prepared : GaussianPrepared
        K components in D columns.
    log_weights : (K,)

    Returns
    -------
    (K,) float64
        Bounds, with four standard errors, the relative error of the responsibilities of rows
        within the component, and the error of its whitened mean and covariance; 0 for components
        of weight 0.

    Notes
    -----
    Component k has the mean m, standard deviations s and the factor U, ``z = (x - m) @ U``.
    Every rounding errs by at most u = 2^-24 of its result, and roundings are taken as independent
    of mean 0, as the probabilistic analysis of rounding errors does (an error of n operations
    then grows with sqrt(n)). Of a row within the component:

    - the coordinates of row and mean are rounded: errors of u |m_i| each, and of u s_i, as is
      their difference;
    - column j of z sums up to D products ``y_i U_ij``, whose factors are rounded, as is every
      partial sum; that of i terms is at most ``sqrt(i sum_i U_ij^2 s_i^2)`` (Cauchy, Schwarz);
    - so the squares of the errors of z add up to
      ``e^2 = u^2 sum_ij U_ij^2 (2 m_i^2 + (3 + D^2 / 2) s_i^2)``,
      and ``log p = c - |z|^2 / 2`` errs by about e, whose constant c and sum of D squares of
      size 1 are rounded to u (|c| + D);
    - a responsibility errs by as much as the log densities that it compares, and a covariance by
      as much as the responsibilities, for rows where these are neither 0 nor 1;
    - sums of products ``y_i y_j`` err by u s_i s_j, whitened by u h_j^2 with
      ``h_j^2 = sum_i U_ij^2 s_i^2``: the condition of the correlations.

    Tied components are compared after whitening, when partial sums of ``m_i U_ij`` are rounded too:
    their squares are added to ``2 m_i^2 U_ij^2``. Their common scatter loses what
    `layout.cancellation` says.

    References
    ----------
    Higham and Mary 2019, SIAM J. Sci. Comput. 41:A2815 (probabilistic bounds of rounding errors);
    Higham 2002, Accuracy and Stability of Numerical Algorithms, 2nd ed., chapters 3 and 8.
    """
    constant = prepared.log_norm + log_weights
    alive = constant > -np.inf
    if not alive.any():
        return np.zeros(len(constant))
    far, near = squares(prepared)
    D = prepared.means.shape[1]
    of_coordinates = np.sqrt((2 * far + (3 + D**2 / 2) * near).sum(axis=1))
    of_constants = np.abs(constant - constant.max()) + D
    of_sums = 4 * near.max(axis=1)
    total = SAFETY * UNIT * (of_coordinates + np.where(alive, of_constants, 0.0) + of_sums)
    if form_of(prepared, "float") == "tied":
        total = total + cancellation(prepared, "float")
    result: FloatArray = np.where(alive, total, 0.0)
    return result


def squares(prepared: GaussianPrepared) -> tuple[FloatArray, FloatArray]:
    """Return for each component and whitened column sum(U^2 m^2) and sum(U^2 s^2), (K, D) each.

    For tied components half the squares of the partial sums of U m are added to the former.
    """
    K, D = prepared.means.shape
    factor, means = prepared.factor, prepared.means
    if prepared.covariance_type in ("diag", "spherical"):
        inverse = factor if factor.ndim == 2 else factor[:, None]
        return (means * inverse) ** 2, np.ones((K, D))
    near = np.matmul(deviations(prepared)[:, None, :] ** 2, factor**2)[:, 0]
    far = np.matmul(means[:, None, :] ** 2, factor**2)[:, 0]
    if prepared.covariance_type == "tied":
        partial = [(np.cumsum(mean[:, None] * factor, axis=0) ** 2).sum(axis=0) for mean in means]
        far += 0.5 * np.array(partial)
    return far, np.broadcast_to(near, (K, D))


def deviations(prepared: GaussianPrepared) -> FloatArray:
    """Return the standard deviations of components in the frame, (K, D) or (1, D) for all."""
    factor, D = prepared.factor, prepared.means.shape[1]
    if prepared.covariance_type == "spherical":
        factor = factor[:, None]
    if factor.ndim == 2 and prepared.covariance_type != "tied":
        return np.broadcast_to(1.0 / factor, (len(factor), D))
    spread = np.array([dtrtri(of_k)[0] for of_k in factor.reshape(-1, D, D)])
    result: FloatArray = np.sqrt((spread**2).sum(axis=1))
    return result


def refuse_coarse(prepared: GaussianPrepared, log_weights: FloatArray) -> None:
    """Raise where float32 would cost more than `LIMIT` of a covariance.

    Raises
    ------
    ConfigError
    """
    bound = error_bound(prepared, log_weights)
    k = int(np.argmax(np.where(np.isfinite(bound), bound, np.inf)))
    if not bound[k] <= LIMIT:
        raise ConfigError(
            f"compute_dtype: float32 may cost component {k} {bound[k]:.1e} of its covariance; at "
            f"most {LIMIT:.0e} is allowed. The component is narrow beside its distance from the "
            "centre of the data, or its columns are nearly dependent: use compute_dtype: float64"
        )


def kept_double(prepared: GaussianPrepared) -> bool:
    """Return whether a model is computed in float64 although float32 is asked for; see the words.

    Sums of tied components about their own means are the dear way out (see `layout.form_of`), and
    in float32 not faster than sums about a common origin in float64.
    """
    return form_of(prepared) != form_of(prepared, "float")


def single_layout(prepared: GaussianPrepared, log_weights: FloatArray) -> Layout:
    """Return the layout of a model whose tiles are float32.

    Columns are measured in powers of two near the extent of the components, so that squares stay
    within the range of float32, and parameters are rounded.
    """
    units = tile_units(prepared)
    factor = prepared.factor
    if prepared.covariance_type == "spherical":
        factor = factor * units[0]
    elif prepared.covariance_type == "diag":
        factor = factor * units
    else:
        factor = factor * units[:, None]
    tiles = prepared._replace(
        scale=prepared.scale * units,
        means=rounded(prepared.means / units),
        factor=rounded(factor),
    )
    return layout(tiles, log_weights, "float")


def rounded(array: FloatArray) -> FloatArray:
    """Return the nearest numbers of float32, as float64."""
    return array.astype(np.float32).astype(np.float64)


def tile_units(prepared: GaussianPrepared) -> FloatArray:
    """Return a power of two for each column: about the largest mean or standard deviation."""
    extent = np.maximum(np.abs(prepared.means).max(axis=0), deviations(prepared).max(axis=0))
    if prepared.covariance_type == "spherical":
        extent[:] = extent.max()
    units: FloatArray = np.ldexp(1.0, np.frexp(extent)[1])
    return units


def from_tiles(
    prepared: GaussianPrepared, model: Layout, count: FloatArray, moments: GaussianMoments
) -> GaussianMoments:
    """Return moments of float32 tiles in the frame, about the given means.

    Parameters
    ----------
    prepared : GaussianPrepared
        As given, in the frame.
    model : Layout
        As made by `single_layout`.
    count : (K,)
    moments : GaussianMoments
        In units of tiles, about the rounded means.
    """
    units = model.prepared.scale / prepared.scale
    apart = prepared.means / units - about(model)
    first, second = moments
    centred = first - count[:, None] * apart
    # sum r (y - a)(y - a)^T = sum r y y^T - (f + f') a^T / 2 - a (f + f')^T / 2, f' = f - n a
    middle = 0.5 * (first + centred)
    if prepared.covariance_type in ("diag", "spherical"):
        less = 2 * middle * apart
        second = second - (less if second.ndim == 2 else less.sum(axis=1))
        size = units if second.ndim == 2 else units[0]
        return GaussianMoments(centred * units, second * size**2)
    less = middle[:, :, None] * apart[:, None, :]
    less = less + less.transpose(0, 2, 1)
    second = second - (less if second.ndim == 3 else less.sum(axis=0))
    return GaussianMoments(centred * units, second * np.outer(units, units))


def lost_of_constants(model: Layout, log_weights: FloatArray, count: FloatArray) -> float:
    """Return what the log-likelihood of float32 tiles lacks because constants were rounded.

    Its derivative by the constant of a component is the component's count, so that an error that
    every row would repeat is gone to first order.
    """
    constants = (model.prepared.log_norm + log_weights)[model.alive] - model.offset
    return float(count[model.alive] @ (constants - model.arrays["constants"]))


def about(model: Layout) -> FloatArray:
    """Return the means (K, D) about which tiles were summed, in units of tiles."""
    means = model.prepared.means.copy()
    if model.method.form == "tied" and not model.method.lists:
        D = means.shape[1]
        whitened = model.arrays["parameters"][:, 1 : 1 + D].astype(np.float64)
        inverse = solve_triangular(model.prepared.factor, np.eye(D), check_finite=False)
        means[model.alive] = whitened @ inverse
    return means
