"""What `plan` says of weights, errors, groups, holes and of rows that a filter drops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.config import Config
from pipeline.sources import Table

Lines = list[tuple[str, str]]
MOST = 12
FLOAT32 = (
    "E-steps in float32: costs at most 0.1 % of each component's covariance, or the fit is refused"
)
FLOAT32_NOT = "float64: rows with errors, weights, groups or holes are not computed in float32"


def beside_lines(config: Config, table: Table) -> Lines:
    """Return the lines between the source and the transform.

    Parameters
    ----------
    config : Config
    table : Table
        As it was opened; its rows may not be readable yet.
    """
    facts = table.described
    lines = _filter(config, facts)
    if facts.get("sample_weight"):
        lines.append(("weight", str(facts["sample_weight"])))
    lines += _noise(facts.get("noise"))
    if config.model.weights_by == "group":
        lines.append(("groups", f"{config.source.group}: weights of their own in each"))
    if config.source.missing_values:
        listed = ", ".join(str(value) for value in config.source.missing_values)
        lines.append(("missing", f"{listed} and NaN"))
    if config.model.missing == "marginalize":
        lines.append(("missing", "marginalized; assumes missing at random"))
    if config.model.compute_dtype == "float32":
        alike = table.layout.plain and config.model.missing == "error"
        alike = alike and config.model.weights_by == "all"
        lines.append(("precision", FLOAT32 if alike else FLOAT32_NOT))
    return lines


def _filter(config: Config, facts: Mapping[str, Any]) -> Lines:
    if not config.source.filter:
        return []
    if facts.get("dropped"):
        dropped = ", ".join(f"{count:,} {reason}" for reason, count in facts["dropped"].items())
        return [("filter", f"{config.source.filter}   drops {dropped}")]
    lines = [("filter", f"{config.source.filter}   exact count in the first pass")]
    for name, said in (facts.get("filter_missing") or {}).items():
        lines.append(("", _missing_in_filter(name, said)))
    return lines


def _missing_in_filter(name: str, said: Mapping[str, Any]) -> str:
    """Return what footers tell of rows without a value of a filter's column."""
    if said["rows"] is None:
        return f"rows without {name}: counted in the first pass"
    least = "at least " if said["at_least"] else ""
    also = "; NaN are counted in the first pass" if said["at_least"] else ""
    fate = {
        True: f"dropped (add 'or {name} is null' to keep them)",
        False: "kept",
        None: "dropped unless the rest of the filter keeps them",
    }[said["dropped"]]
    return f"{least}{said['rows']:,} rows have no {name} (footers{also}): {fate}"


def _noise(noise: Mapping[str, Any] | None) -> Lines:
    if not noise:
        return []
    errors = _listed(noise["errors"])
    exact = f"; exact: {_listed(noise['exact'])}" if noise["exact"] else ""
    lines = [("noise", f"{noise['form']}: {errors}{exact}")]
    if noise["pairs"] or noise["form"] == "covariance":
        word = "covariance" if noise["form"] == "covariance" else "correlation"
        none = f"; none found for {noise['pairs_without']} pairs -> 0"
        lines.append(
            ("", f"{word}: {_listed(noise['pairs'])}{none if noise['pairs_without'] else ''}")
        )
    elif len(noise["errors"]) > 1:
        lines.append(("", "no correlations between errors"))
    return lines


def _listed(names: list[str]) -> str:
    more = f" ... ({len(names)} in all)" if len(names) > MOST else ""
    return " ".join(names[:MOST]) + more
