"""Weights held to a Poisson law: component k is what holds k copies, lambda copies on average.

Three endings of the law give three answers, so each has its name. With K components, m = K - 1:

- ``lumped``: the last component takes all of m and more copies, as where droplets saturate. Its
  mean must be free to be where they lie: were it held on a line through the others, rows of more
  copies would find no component, and lambda come out too small without any sign;
- ``renormalised``: more than m copies do not occur;
- ``open``: more than m copies occur, and no component describes them: weights sum to less than
  one. Sensible where K is far beyond lambda.

With K far beyond lambda the three agree. M-steps are exact; see `copies`.

References
----------
Dube, Qin and Ramakrishnan 2008, PLoS ONE 3:e2876 (two classes, lumped: ``lambda = -log(n_0 / n)``);
Lambert 1992, Technometrics 34:1 (zero inflation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FloatArray
from gmm_dask.errors import ConfigError
from gmm_dask.laws.base import WeightLaw, need_components, shares
from gmm_dask.laws.copies import TAILS, log_poisson, most_likely


def _check_tail(law: str, tail: str) -> None:
    if tail not in TAILS:
        raise ConfigError(f"weights: {law} {tail!r} came; needed: {', '.join(TAILS)}")


@dataclass(frozen=True)
class Poisson(WeightLaw):
    """Component k holds k copies; copies follow a Poisson law.

    Parameters
    ----------
    tail : {"lumped", "renormalised", "open"}
        What the last component is; see the module.

    Raises
    ------
    ConfigError
        Another tail.
    """

    tail: str = "lumped"

    def __post_init__(self) -> None:
        _check_tail("poisson", self.tail)

    @property
    def ordered(self) -> bool:
        """True: component k holds k copies."""
        return True

    def weights(self, count: FloatArray) -> FloatArray:
        """Return the weights of the lambda of highest likelihood, (G, K).

        Without any copies lambda is 0, and all weight is on the first component. With all rows in
        the last one lambda is as large as float64 tells apart; see `copies.TOP`.
        """
        K = count.shape[1]
        self.n_free(K)
        share = shares(count)
        rate = share @ np.arange(K) if self.tail == "open" else most_likely(share, self.tail)
        return self.at(rate, K)

    def n_free(self, n_components: int) -> int:
        """Return 1: lambda."""
        need_components("poisson", "at least 2 components", n_components, fits=n_components >= 2)
        return 1

    def parameters(self, weights: FloatArray) -> dict[str, FloatArray]:
        """Return ``lambda``, copies per row, (G,)."""
        return {"lambda": most_likely(weights, _closed(self.tail))}

    def project(self, weights: FloatArray) -> FloatArray:
        """Return weights of the law near others; those of the law come back."""
        return self.at(self.parameters(weights)["lambda"], weights.shape[1])

    def at(self, rate: FloatArray, n_components: int) -> FloatArray:
        """Return the weights (G, K) at some lambda (G,)."""
        return np.exp(log_poisson(rate, n_components, self.tail))


def _closed(tail: str) -> str:
    """Return the tail by which weights (not counts) of a law are read.

    Of an open law, whose weights lack the rows beyond, those that are there are renormalised.
    """
    return "renormalised" if tail == "open" else tail


@dataclass(frozen=True)
class ZeroInflatedPoisson(WeightLaw):
    """As `Poisson`, but for a share of rows that hold no copies whatever lambda is.

    Parameters
    ----------
    tail : {"lumped", "renormalised", "open"}

    Raises
    ------
    ConfigError
        Another tail.

    Notes
    -----
    The rows with copies have their own likelihood, of lambda alone; the rows without add the
    share. Where they are fewer than even a share of 0 asks for, the maximum lies at 0 and is that
    of `Poisson`: the likelihood is concave in the weight of the first component, so its
    constrained maximum lies on the edge.
    """

    tail: str = "lumped"

    def __post_init__(self) -> None:
        _check_tail("zip", self.tail)

    @property
    def ordered(self) -> bool:
        """True: component k holds k copies."""
        return True

    def weights(self, count: FloatArray) -> FloatArray:
        """Return the weights of highest likelihood, (G, K)."""
        K = count.shape[1]
        self.n_free(K)
        share = shares(count)
        rate = most_likely(share, self.tail, first=1)
        inflated = self.at(rate, self._zeros(share, rate), K)
        plain = Poisson(self.tail).weights(count)
        result: FloatArray = np.where(self._is_inflated(share, rate)[:, None], inflated, plain)
        return result

    def n_free(self, n_components: int) -> int:
        """Return 2: lambda and the share of further zeros."""
        need_components("zip", "at least 3 components", n_components, fits=n_components >= 3)
        return 2

    def parameters(self, weights: FloatArray) -> dict[str, FloatArray]:
        """Return ``lambda``, and ``zeros``: the share of rows that hold none whatever it is."""
        rate = most_likely(weights, _closed(self.tail), first=1)
        inflated = self._is_inflated(weights, rate)
        plain = Poisson(self.tail).parameters(weights)["lambda"]
        zeros = np.where(inflated, self._zeros(weights, rate), 0.0)
        return {"lambda": np.where(inflated, rate, plain), "zeros": zeros}

    def project(self, weights: FloatArray) -> FloatArray:
        """Return weights of the law near others; those of the law come back."""
        found = self.parameters(weights)
        return self.at(found["lambda"], found["zeros"], weights.shape[1])

    def at(self, rate: FloatArray, zeros: FloatArray, n_components: int) -> FloatArray:
        """Return the weights (G, K) at some lambda (G,) and shares of further zeros (G,)."""
        weights = (1.0 - zeros[:, None]) * Poisson(self.tail).at(rate, n_components)
        weights[:, 0] += zeros
        return weights

    def _none(self, rate: FloatArray, n_components: int) -> FloatArray:
        """Return the probability (G,) of no copies."""
        none: FloatArray = Poisson(self.tail).at(rate, n_components)[:, 0]
        return none

    def _is_inflated(self, share: FloatArray, rate: FloatArray) -> npt.NDArray[np.bool_]:
        return share[:, 0] > self._none(rate, share.shape[1])

    def _zeros(self, share: FloatArray, rate: FloatArray) -> FloatArray:
        none = self._none(rate, share.shape[1])
        more = np.divide(share[:, 0] - none, 1.0 - none, out=np.zeros_like(none), where=none < 1)
        return np.maximum(more, 0.0)
