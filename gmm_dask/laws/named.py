"""Laws by the words that users say, and words by laws."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gmm_dask.errors import ConfigError
from gmm_dask.laws.base import WeightLaw
from gmm_dask.laws.droplets import Droplets
from gmm_dask.laws.genotypes import Binomial, HardyWeinberg
from gmm_dask.laws.held import HeldWeights
from gmm_dask.laws.poisson import Poisson, ZeroInflatedPoisson
from gmm_dask.laws.simple import Dirichlet, Equal, Fixed, Free

LAWS: tuple[type, ...] = (
    *(Free, Equal, Fixed, Dirichlet, Poisson, ZeroInflatedPoisson, Binomial, HardyWeinberg),
    *(HeldWeights, Droplets),
)
"""Classes that files may hold."""


def _inbreeding(word: Any) -> HardyWeinberg:
    if word != "inbreeding":
        raise ConfigError(f"weights: hardy_weinberg {word!r} came; inbreeding is all it may say")
    return HardyWeinberg(inbreeding=True)


def _numbers(value: Any) -> Any:
    return tuple(map(float, value)) if isinstance(value, list | tuple | np.ndarray) else value


PLAIN: dict[str, Callable[[], WeightLaw]] = {
    "free": Free,
    "equal": Equal,
    "poisson": Poisson,
    "zip": ZeroInflatedPoisson,
    "binomial": Binomial,
    "hardy_weinberg": HardyWeinberg,
}
WITH: dict[str, Callable[[Any], WeightLaw]] = {
    "dirichlet": lambda alpha: Dirichlet(_numbers(alpha)),
    "poisson": Poisson,
    "zip": ZeroInflatedPoisson,
    "binomial": Binomial,
    "hardy_weinberg": _inbreeding,
}
NEEDED = (
    "free, equal, poisson, zip, binomial, hardy_weinberg, a list of weights, or one of "
    "{dirichlet: a}, {poisson: tail}, {zip: tail}, {binomial: n}, {hardy_weinberg: inbreeding}"
)


def law_of(value: Any) -> WeightLaw:
    """Return the law that a word, a list of weights, or a mapping of one word asks for.

    Parameters
    ----------
    value : str, sequence of float, mapping of one str, or a law

    Raises
    ------
    ConfigError
        No law is called so, or its number is out of range.
    """
    if isinstance(value, str) and value in PLAIN:
        return PLAIN[value]()
    if isinstance(value, Mapping) and len(value) == 1:
        ((word, more),) = value.items()
        if word in WITH:
            return _made(WITH[word], more, value)
    if isinstance(value, list | tuple | np.ndarray) and all(
        isinstance(v, numbers.Real) and not isinstance(v, bool) for v in value
    ):
        return Fixed(tuple(float(v) for v in value))
    if not isinstance(value, str | type) and hasattr(value, "n_free") and hasattr(value, "project"):
        law: WeightLaw = value
        return law
    raise ConfigError(f"weights: {value!r} came; needed: {NEEDED}")


def _made(make: Callable[[Any], WeightLaw], more: Any, value: Any) -> WeightLaw:
    try:
        return make(more)
    except ConfigError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"weights: {value!r} came; needed: {NEEDED}") from error


def law_word(law: WeightLaw) -> Any:
    """Return what a user says for a law: `law_of` gives it back; a law without a word as it is."""
    if isinstance(law, Fixed):
        return list(law.values)
    if isinstance(law, Dirichlet):
        return {"dirichlet": list(law.alpha) if isinstance(law.alpha, tuple) else law.alpha}
    for word, make in PLAIN.items():
        if make() == law:
            return word
    if isinstance(law, Poisson | ZeroInflatedPoisson):
        return {"poisson" if isinstance(law, Poisson) else "zip": law.tail}
    if isinstance(law, Binomial):
        return {"binomial": law.n}
    return {"hardy_weinberg": "inbreeding"} if isinstance(law, HardyWeinberg) else law
