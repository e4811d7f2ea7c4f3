"""Classes and values that the tests of the store write and read."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gmm_dask.store.codec import Codec


class Kind(enum.Enum):
    FULL = "full"
    TIED = "tied"


class Params(NamedTuple):
    means: np.ndarray
    covariances: np.ndarray | None = None


@dataclass(frozen=True)
class State:
    params: Params
    kind: Kind = Kind.FULL
    history: tuple[float, ...] = ()
    notes: Any = None


CODEC = Codec([Kind, Params, State])


def state(seed: int, K: int = 3, D: int = 2) -> State:
    """Return a state that differs for every seed in every array."""
    rng = np.random.default_rng(seed)
    params = Params(rng.normal(size=(K, D)), rng.normal(size=(K, D, D)))
    notes = {"live": np.array([True, False]), "seed": (seed, 2**70), "rows": np.arange(4)}
    return State(params, Kind.TIED, (float(seed), float("-inf"), 0.1), notes)


def content(number: int) -> dict[str, np.ndarray]:
    """Return what is saved after a pass: few arrays, as each operation costs a run of the test."""
    return {"a": np.full(3, float(number)), "b": np.full((2, 2), -float(number))}
