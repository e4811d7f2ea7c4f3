"""Which parameters are held, from the words of users."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from typing import Any

from gmm_dask.errors import ConfigError
from gmm_dask.families.held import Held

PARAMETERS = ("weight", "mean", "covariance")
TEMPERATURES = {"soft": 1.0, "hard": 0.0}


def held_of(frozen: Any) -> Held:
    """Return what ``frozen`` holds.

    Parameters
    ----------
    frozen : mapping or None
        From the number of a component to some of weight, mean and covariance.

    Raises
    ------
    ConfigError
        It is no such mapping.
    """
    if frozen is None:
        return Held()
    if not isinstance(frozen, Mapping):
        raise ConfigError(
            f"frozen is {frozen!r:.60}; a mapping from components to what is held is needed, as in "
            "{0: ['mean', 'covariance']}"
        )
    found: dict[str, list[int]] = {name: [] for name in PARAMETERS}
    for component, names in frozen.items():
        k = _number(component)
        for name in _names(component, names):
            found[name].append(k)
    weights, means, covariances = (tuple(sorted(set(found[name]))) for name in PARAMETERS)
    return Held(weights, means, covariances)


def _number(component: Any) -> int:
    whole = isinstance(component, numbers.Integral) and not isinstance(component, bool)
    if not whole or component < 0:
        raise ConfigError(
            f"frozen: {component!r:.60} is no component; they are numbered from 0, in the order of "
            "the values given"
        )
    return int(component)


def _names(component: Any, names: Any) -> Iterable[str]:
    listed = [names] if isinstance(names, str) else names
    if not isinstance(listed, Iterable) or not (listed := list(listed)):
        raise ConfigError(f"frozen: component {component} holds nothing; leave it out")
    for name in listed:
        if name not in PARAMETERS:
            raise ConfigError(
                f"frozen: component {component} is to hold {name!r:.60}; one or more of "
                f"{', '.join(PARAMETERS)} are needed"
            )
    return listed
