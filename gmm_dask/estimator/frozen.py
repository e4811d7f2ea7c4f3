"""Which parameters are held, from the words of users."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.errors import ConfigError
from gmm_dask.families.held import Held
from gmm_dask.families.lines import Line
from gmm_dask.mixture import Mixture

PARAMETERS = ("weight", "mean", "covariance")
TEMPERATURES = {"soft": 1.0, "hard": 0.0}


def held_of(frozen: Any, shared: Any = None) -> Held:
    """Return what ``frozen`` holds and components share.

    Parameters
    ----------
    frozen : mapping or None
        From the number of a component to some of weight, mean and covariance.
    shared : mapping or None
        "covariance": groups of components; "mean": groups, or mappings from components to their
        places on a line.

    Raises
    ------
    ConfigError
        It is no such mapping.
    """
    frozen = {} if frozen is None else frozen
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
    return Held(weights, means, covariances, *_shared({} if shared is None else shared))


def _shared(shared: Any) -> tuple[tuple[tuple[int, ...], ...], tuple[Line, ...]]:
    """Return groups of equal covariances, and lines."""
    needed = (
        "shared is {!r:.60}; groups of components are needed, as in {{'covariance': [[0, 1]], "
        "'mean': [[0, 1], {{2: 0, 3: 1, 4: 2}}]}}, where a mapping has places on a line"
    )
    if not isinstance(shared, Mapping) or not set(shared) <= {"covariance", "mean"}:
        raise ConfigError(needed.format(shared))
    lines = []
    try:
        groups = tuple(tuple(map(_number, group)) for group in shared.get("covariance", ()))
        for group in shared.get("mean", ()):
            places = group if isinstance(group, Mapping) else dict.fromkeys(group, 0.0)
            numbered = tuple(map(_number, places)), tuple(map(float, places.values()))
            lines.append(Line(*numbered))
    except (TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(needed.format(shared)) from error
    sizes = [len(set(group)) for group in (*groups, *(line.components for line in lines))]
    if not all(np.isfinite(line.places).all() for line in lines) or min(sizes, default=2) < 2:
        raise ConfigError(needed.format(shared))
    return groups, tuple(lines)


def _number(component: Any) -> int:
    whole = isinstance(component, numbers.Integral) and not isinstance(component, bool)
    if not whole or component < 0:
        raise ConfigError(
            f"{component!r:.60} is no component; they are numbered from 0, in the order of "
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


def start_values(
    mixture: Mixture, covariance_type: Sequence[str], n_columns: int
) -> dict[str, FloatArray]:
    """Return the parameters of a fitted mixture, source units, for other fits to begin with.

    Parameters
    ----------
    mixture : Mixture
    covariance_type : sequence of str
        Of the fits that begin with them.
    n_columns : int
        Of their rows.

    Raises
    ------
    ConfigError
        The mixture has other columns, or covariances of another type.
    """
    kind, D = mixture.family.covariance_type, mixture.n_columns
    if set(covariance_type) != {kind} or n_columns != D:
        raise ConfigError(
            f"start_from has {kind} covariances of {D} columns; they are of no use to fits of "
            f"{', '.join(covariance_type)} covariances of {n_columns} columns"
        )
    return {
        "weights": mixture.weights.mean(axis=0),
        "means": mixture.means,
        "covariances": mixture.covariances,
    }
