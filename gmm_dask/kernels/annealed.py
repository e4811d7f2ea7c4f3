"""E-steps at a temperature: between the mixture (1) and its hard limit (0).

With log joint densities g, responsibilities are ``softmax(g / T)``, and the M-step of such sums
raises ``F_T = T log sum exp(g / T)`` of each row: the log-likelihood at T = 1, the classification
likelihood ``max g`` at T = 0. Densities to a power 1/T are Gaussians of the same means whose
covariances are T times as large, but for constants, so the ordinary kernels compute them.

References
----------
Celeux and Govaert 1992, Comput. Stat. Data Anal. 14:315 (T = 0, classification EM); Ueda and
Nakano 1998, Neural Netw. 11:271, equations 9 to 14 (T between, with beta = 1 / T).
"""

from __future__ import annotations

import math

from gmm_dask.blocks import FloatArray
from gmm_dask.kernels import table
from gmm_dask.kernels.types import GaussianPrepared


def ready_at(
    prepared: GaussianPrepared,
    log_weights: FloatArray,
    temperature: float,
    compute_dtype: str = "float64",
    *,
    bounds: bool = True,
) -> table.Ready:
    """Choose the kernel of a model's E-step at a temperature.

    Parameters
    ----------
    prepared : GaussianPrepared
    log_weights : (K,)
    temperature : float
        0 to 1. The log-likelihood that the kernel returns, times `unit_of` it, is that of F_T.
    compute_dtype : {"float64", "float32"}
    bounds : bool
        See `table.ready`.
    """
    if temperature == 0:
        return table.ready(prepared, log_weights, True, compute_dtype, bounds=bounds)
    if temperature != 1:
        prepared = prepared._replace(
            factor=prepared.factor / math.sqrt(temperature),
            log_norm=prepared.log_norm / temperature,
        )
    return table.ready(
        prepared, log_weights / temperature, compute_dtype=compute_dtype, bounds=bounds
    )


def unit_of(temperature: float) -> float:
    """Return what the log-likelihood of a kernel made by `ready_at` is to be multiplied with."""
    return temperature if temperature > 0 else 1.0
