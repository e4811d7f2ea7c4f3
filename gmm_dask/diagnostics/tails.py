"""Noise of two or more states: how often a bit is read wrongly, against what one Gaussian says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import log_ndtr, logsumexp

from gmm_dask.blocks import FloatArray
from gmm_dask.diagnostics.as_json import as_json
from gmm_dask.diagnostics.asking import fitted
from gmm_dask.diagnostics.goodness import check_shape
from gmm_dask.errors import ConfigError, DataError
from gmm_dask.mixture import Mixture


@dataclass(frozen=True)
class BitErrors:
    """Bit-error rates by amplitude.

    Parameters
    ----------
    amplitude : (n,)
    mixture : (n,)
        Rate under the mixture; 0 where it is below 1e-308.
    gaussian : (n,)
        Rate under one Gaussian of the same mean and variance.
    log10_mixture, log10_gaussian, log10_ratio : (n,)
        Decimal logarithms of the rates, and of mixture over Gaussian: the single Gaussian is too
        optimistic where it is above 0, too pessimistic where it is below.
    excess_kurtosis : float
        Of the mixture; 0 for one Gaussian.
    """

    amplitude: FloatArray
    mixture: FloatArray
    gaussian: FloatArray
    log10_mixture: FloatArray
    log10_gaussian: FloatArray
    log10_ratio: FloatArray
    excess_kurtosis: float

    @property
    def ratio(self) -> FloatArray:
        """Rate under the mixture over that under the single Gaussian, (n,)."""
        with np.errstate(over="ignore"):
            found: FloatArray = 10.0**self.log10_ratio
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return {**as_json(self), "ratio": as_json(self.ratio)}


def bit_errors(model: Any, amplitude: Any) -> BitErrors:
    """Return how often the sign of a signal of +A or -A is read wrongly in a mixture's noise.

    Both signs are equally frequent: ``sum_k w_k [Q((A - m_k) / s_k) + Q((A + m_k) / s_k)] / 2``.

    Parameters
    ----------
    model : GaussianMixture or FitMany
        Fitted to noise: one column.
    amplitude : float or (n,)
        Positive, in the unit of the column.

    Raises
    ------
    DataError
        The model has several columns, or an amplitude is not positive.
    ConfigError
        Its components are not Gaussian.

    References
    ----------
    Proakis and Salehi 2008, Digital Communications, section 4.2; Middleton 1977, IEEE Trans. EMC
    19:106 (impulsive noise).
    """
    mixture: Mixture = fitted(model).mixture_
    check_shape(mixture, "bit errors")
    if mixture.n_columns != 1:
        raise DataError(f"the model has {mixture.n_columns} columns; bit errors are those of one")
    A = np.atleast_1d(np.asarray(amplitude, dtype=np.float64))
    if A.ndim != 1 or not (np.isfinite(A) & (A > 0)).all():
        raise ConfigError(f"amplitude is {amplitude!r}; positive numbers are needed")
    w, m = mixture.weights.mean(axis=0), mixture.means[:, 0]
    s = np.sqrt(mixture.dense_covariances[:, 0, 0])
    centre = float(w @ m)
    second = s**2 + (m - centre) ** 2
    variance = float(w @ second)
    fourth = float(w @ (3 * s**4 + 6 * s**2 * (m - centre) ** 2 + (m - centre) ** 4))
    of_mixture = _log10_rate(A, w, m, s)
    one = _log10_rate(A, np.ones(1), np.array([centre]), np.sqrt([variance]))
    return BitErrors(
        A,
        10.0**of_mixture,
        10.0**one,
        of_mixture,
        one,
        of_mixture - one,
        fourth / variance**2 - 3.0,
    )


def _log10_rate(A: FloatArray, w: FloatArray, m: FloatArray, s: FloatArray) -> FloatArray:
    """Return log10 of the error rate for each amplitude; in logs, as rates of 1e-400 occur."""
    with np.errstate(divide="ignore"):
        log_w = np.log(0.5 * np.concatenate([w, w]))
    m, s = np.concatenate([m, -m]), np.concatenate([s, s])
    logs = log_w + log_ndtr(-(A[:, None] - m) / s)
    rate: FloatArray = logsumexp(logs, axis=1) / np.log(10)
    return rate
