"""How large the gradient of the log-likelihood is, in units that any data share.

The complete data of a mixture (rows with their labels) are an exponential family, for which the
step of EM and the score are the same thing seen twice: in expectation parameters
``score = I_c (step)`` exactly, with I_c the information of the complete data. So
``score' I_c^{-1} score`` costs nothing beyond the M-step. It does not depend on coordinates, nor
on units, and it is quadratic in the step: it still tells 1e-20 from 1e-25 where differences of
log-likelihoods are rounding.

What it says about the gap to the optimum follows from I_c >= I_observed = I_c (1 - R), where the
eigenvalues of R are the rates of EM, the largest r. With s the norm per row, near the optimum,

    s / 2  <=  gap per row  <=  s / (2 (1 - r)),        s / 2  <=  gain of one EM step  <=  s.

References
----------
Dempster, Laird and Rubin 1977, J. R. Stat. Soc. B 39:1, section 3 (R); Louis 1982, J. R. Stat.
Soc. B 44:226 (information); Lange 1995, J. R. Stat. Soc. B 57:425 (EM as a gradient step);
Titterington 1984, J. R. Stat. Soc. B 46:257, equation 4 (I_c as a metric).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.families.product import Product
from gmm_dask.families.von_mises import one_minus_ratio, ratio_slope
from gmm_dask.mixture import Mixture


def score_norm(before: Mixture, after: Mixture) -> float:
    """Return ``score' I_c^{-1} score`` per row at a mixture, from its plain EM step.

    Parameters
    ----------
    before : Mixture
        Where the score is taken.
    after : Mixture
        Its M-step, in the same frame.

    Returns
    -------
    float
        Natural log units per row, as a log-likelihood per row; 0 at a stationary point. With a
        floor or a prior it is that of the step which these allow, so that it ends at 0 as well.

    Notes
    -----
    With p the weight before, p' after, d the step of a mean and S' the covariance after, the
    components add ``(p' - p)^2 / p + p'^2 / p (d' S^{-1} d + |S^{-1} (S' + d d') - 1|^2 / 2)``:
    the Fisher information of Gaussian means and covariances (Magnus and Neudecker 1988, chapter
    15) on the score, which is a moment about the mean before.
    """
    old, new = before.pooled, after.pooled
    share = np.divide(new**2, old, out=np.zeros_like(old), where=old > 0)
    old_g, new_g = before.weights, after.weights
    moved = np.divide((new_g - old_g) ** 2, old_g, out=np.zeros_like(old_g), where=old_g > 0)
    of_weights = after.shares @ moved if len(moved) > 1 else moved[0]
    if before.family.compound:
        return float(of_weights.sum()) + of_compound(before, after, share, new)
    whitened = _whitened_steps(before, after)
    of_means = share @ (whitened**2).sum(axis=1)
    return float(of_weights.sum() + of_means + _of_shapes(before, after, whitened, share, new))


def _whitened_steps(before: Mixture, after: Mixture) -> FloatArray:
    """Return the steps of the means in each component's own standard deviations, (K, D)."""
    step = after.params.means - before.params.means
    factor, _ = before.family.factors(before.params)
    if before.family.covariance_type == "full":
        full: FloatArray = np.einsum("kd,kde->ke", step, factor)
        return full
    if before.family.covariance_type == "tied":
        tied: FloatArray = step @ factor
        return tied
    apart: FloatArray = step * factor.reshape(len(step), -1)
    return apart


def _of_shapes(
    before: Mixture, after: Mixture, whitened: FloatArray, share: FloatArray, new: FloatArray
) -> float:
    """Return what the covariances add."""
    factor, _ = before.family.factors(before.params)
    S, kind, D = after.params.covariances, before.family.covariance_type, before.n_columns
    if kind == "full":
        about = np.swapaxes(factor, 1, 2) @ S @ factor + whitened[:, :, None] * whitened[:, None, :]
        return 0.5 * float(share @ ((about - np.eye(D)) ** 2).sum(axis=(1, 2)))
    if kind == "tied":
        pooled = factor.T @ S @ factor + (whitened.T * new) @ whitened
        return 0.5 * float(((pooled - np.eye(D)) ** 2).sum())
    if kind == "diag":
        return 0.5 * float(share @ ((S * factor**2 + whitened**2 - 1.0) ** 2).sum(axis=1))
    common = S * factor**2 + (whitened**2).mean(axis=1) - 1.0
    return 0.5 * D * float(share @ common**2)


def of_compound(before: Mixture, after: Mixture, share: FloatArray, new: FloatArray) -> float:
    """Return what the parameters of components add that are more than Gaussians.

    Those of a background are none. An angle adds the squared steps of the means of its cosine and
    sine about the direction before, over their variances A' and A / kappa.
    """
    K = len(before.params.means)
    share, new = share[:K], new[:K]
    inner = getattr(before.family, "inner", before.family)
    here, there = _lines(before, inner), _lines(after, inner)
    total = 0.0
    if here.n_columns:
        whitened = _whitened_steps(here, there)
        total += float(share @ (whitened**2).sum(axis=1))
        total += _of_shapes(here, there, whitened, share, new)
    if isinstance(inner, Product):
        total += float(share @ _of_angles(inner, before, after).sum(axis=1))
    return total


def _lines(mixture: Mixture, inner: Any) -> Mixture:
    """Return the Gaussian columns of a mixture."""
    if not isinstance(inner, Product):
        return replace(mixture, family=inner)
    params = inner.of_lines(mixture.params)  # type: ignore[arg-type]
    frame = inner.frame_of_lines(mixture.frame)
    return replace(mixture, family=inner.gaussian, params=params, frame=frame)


def _of_angles(family: Product, before: Mixture, after: Mixture) -> FloatArray:
    """Return what each angle of each component adds, (K, C)."""
    (old, kappa), (new, reached) = (
        family.of_angles(mixture.params)  # type: ignore[arg-type]
        for mixture in (before, after)
    )
    step, length = new - old, 1.0 - one_minus_ratio(reached)
    cosine = one_minus_ratio(kappa) - one_minus_ratio(reached)
    cosine -= 2.0 * length * np.sin(0.5 * step) ** 2
    across = np.divide(
        1.0 - one_minus_ratio(kappa), kappa, out=np.full_like(kappa, 0.5), where=kappa > 1e-8
    )
    added: FloatArray = cosine**2 / ratio_slope(kappa) + (length * np.sin(step)) ** 2 / across
    return added
