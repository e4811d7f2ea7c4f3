"""The words by which a candidate is chosen, and when they make no sense."""

from __future__ import annotations

from collections.abc import Sequence

from gmm_dask.errors import ConfigError

CRITERIA = ("bic", "aic", "icl", "icl_map", "held_out", "stability")
RULES = ("best", "one_standard_error")


def check_rule(criterion: str, rule: str) -> None:
    """Raise ConfigError for an unknown criterion or rule, or one that has no standard error."""
    if criterion not in CRITERIA or rule not in RULES:
        raise ConfigError(
            f"criterion {criterion!r} and rule {rule!r}; needed are one of {', '.join(CRITERIA)} "
            f"and one of {', '.join(RULES)}"
        )
    if rule == "one_standard_error" and criterion != "held_out":
        raise ConfigError(
            f"select.rule one_standard_error needs select.criterion held_out, not {criterion}: "
            f"{criterion} has no standard error"
        )


def check_stability(n_components: Sequence[int], n_init: int) -> None:
    """Raise ConfigError where no candidate could have a stability."""
    if n_init < 2 or max(n_components) < 2:
        raise ConfigError(
            "criterion stability compares the labels of restarts: it needs an n_init of at least "
            f"2 and a K of at least 2; given are n_init {n_init} and K up to {max(n_components)}"
        )
