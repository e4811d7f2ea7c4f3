"""A test that is tried with many malformed inputs, drawn before the program runs."""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any
from zlib import crc32

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Recipe = st.SearchStrategy[Any] | Callable[..., st.SearchStrategy[Any]]
TRIED: Counter[str] = Counter()
"""Malformed inputs that were tried, by test."""
EXPECTED: dict[str, int] = {}
"""Malformed inputs that each test should try at least."""


def malformed(n: int, **recipes: Recipe) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Try a test with `n` inputs, the same ones at every run, and count them.

    Parameters
    ----------
    n : int
    **recipes : strategy, or function of the test's fixtures that returns one
        By the argument of the test that receives the value drawn.
    """

    def wrap(test: Callable[..., None]) -> Callable[..., None]:
        EXPECTED[test.__name__] = n
        asked = inspect.signature(test).parameters.values()

        @wraps(test)
        def each(**fixtures: Any) -> None:
            made = {name: _strategy(recipe, fixtures) for name, recipe in recipes.items()}
            for values in _drawn(n, test.__name__, made):
                TRIED[test.__name__] += 1
                try:
                    test(**fixtures, **values)
                except BaseException as error:
                    error.add_note(f"the input was {values}")
                    raise

        left = [parameter for parameter in asked if parameter.name not in recipes]
        each.__signature__ = inspect.Signature(left)  # type: ignore[attr-defined]
        return pytest.mark.deadline(280)(each)

    return wrap


def _strategy(recipe: Recipe, fixtures: dict[str, Any]) -> st.SearchStrategy[Any]:
    if isinstance(recipe, st.SearchStrategy):
        return recipe
    return recipe(**{name: fixtures[name] for name in inspect.signature(recipe).parameters})


def _drawn(n: int, name: str, recipes: dict[str, Any]) -> list[dict[str, Any]]:
    """Draw all first: a program with threads changes warnings and random state under a draw."""
    found: list[dict[str, Any]] = []

    @seed(crc32(name.encode()))
    @settings(
        max_examples=n,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.fixed_dictionaries(recipes))
    def collect(values: dict[str, Any]) -> None:
        found.append(values)

    with warnings.catch_warnings():
        # idle threads of the cluster use the `random` module, whole manifests have a long repr
        warnings.simplefilter("ignore")
        collect()
    return found
