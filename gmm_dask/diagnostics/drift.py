"""Drift: whether a model still describes new rows, with a verdict that a scheduled run acts on.

A change counts if it is both sure and large: its interval lies beyond a margin that depends on no
number of rows. So a billion rows raise no alarm for a shift that nobody would notice, and a hundred
rows none by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import norm

from gmm_dask.diagnostics.as_json import as_json
from gmm_dask.diagnostics.asking import fitted, opened
from gmm_dask.diagnostics.profile import OUTSIDE, Profile, own_profile, profiles_of
from gmm_dask.errors import ConfigError, DataError

VERDICTS = ("keep", "refit", "alarm")
BATCHES, BATCH_ROWS = 20, 1000


class Margins(NamedTuple):
    """How large a change must be; of each the margin to refit, and that to raise an alarm."""

    log_density: tuple[float, float] = (0.1, 1.0)
    """Fall of the mean log density, in standard deviations of a row's; half of it as a rise."""
    weights: tuple[float, float] = (0.05, 0.5)
    """Share of the rows that moved to other components (total variation)."""
    outside: tuple[float, float] = (0.005, 0.05)
    """Rise of the share of rows outside the region of 99.9 % of the model's rows."""


class Change(NamedTuple):
    """One thing that may have changed."""

    what: str
    """log density, weights or outside."""
    size: float
    """On the scale of its margins."""
    error: float
    """Standard error."""
    verdict: str
    reason: str
    """In words, with the numbers."""


@dataclass(frozen=True)
class BatchDrift:
    """The verdict on one run of rows.

    Parameters
    ----------
    first_row, last_row : int
    n_rows : float
    log_density : float
        Mean, natural log, source units.
    outside : float
    verdict : str
    changes : tuple of Change
    """

    first_row: int
    last_row: int
    n_rows: float
    log_density: float
    outside: float
    verdict: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Drift:
    """Whether a model still describes rows.

    Parameters
    ----------
    verdict : {"keep", "refit", "alarm"}
        refit: the components hold, their shares or shapes moved, so begin from this model; alarm:
        rows that the model knows nothing of.
    reasons : tuple of str
        In words, the worst first.
    found, reference : Profile
    changes : tuple of Change
        Of all rows.
    batches : tuple of BatchDrift
        Runs of consecutive rows; empty where there are too few for several.
    blind : tuple of str
        Changes of the size of the margins that so few rows cannot show.
    """

    verdict: str
    reasons: tuple[str, ...]
    found: Profile
    reference: Profile
    changes: tuple[Change, ...]
    batches: tuple[BatchDrift, ...]
    blind: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        found: dict[str, Any] = as_json(self)
        return found


def drift(
    model: Any,
    X: Any,
    *,
    reference: Profile | None = None,
    sample_weight: Any = None,
    noise: Any = None,
    n_batches: int | None = None,
    margins: Margins | None = None,
    level: float = 0.999,
) -> Drift:
    """Return whether a fitted model still describes new rows, in one pass.

    Parameters
    ----------
    model : GaussianMixture or FitMany
    X, sample_weight, noise
        New rows; see `GaussianMixture.fit`.
    reference : Profile, optional
        Of the rows of the fit (see `profile`); the model's own rows by default, so that a misfit
        that was there from the beginning counts as drift.
    n_batches : int, optional
        Runs of rows that are judged alone; 20 by default, fewer where they would hold less than
        1000 rows.
    margins : Margins, optional
    level : float
        Of the intervals; over all batches together.

    Raises
    ------
    ConfigError
        No reference for a model of rows with errors or holes, or one of another model.
    DataError
        The rows cannot be used as they are.
    """
    if not 0 < level < 1:
        raise ConfigError(f"level is {level}; a number between 0 and 1 is needed")
    chosen = fitted(model)
    before = reference or own_profile(chosen)
    if len(before.weights) != chosen.mixture_.n_components:
        raise ConfigError(
            f"the reference has {len(before.weights)} components, the model "
            f"{chosen.mixture_.n_components}: make it by profile(model, X)"
        )
    with opened(chosen, X, sample_weight, noise) as data:
        n = data.source.n_rows
        B = max(min(BATCHES, n // BATCH_ROWS), 1) if n_batches is None else n_batches
        if not 1 <= B <= max(n, 1):
            raise ConfigError(f"n_batches is {B}; 1 to {n}, one row each, are needed")
        found = profiles_of(chosen.mixture_, data, B)
    return drift_from(found, before, n, margins or Margins(), level)


def drift_from(
    found: tuple[Profile, ...],
    reference: Profile,
    n_rows: int,
    margins: Margins | None = None,
    level: float = 0.999,
) -> Drift:
    """Return the verdict on profiles: of all rows, then of batches."""
    margins = margins or Margins()
    whole, *parts = found
    if not whole.n_rows > 0:
        raise DataError("no row has a value and a positive weight; at least one is needed")
    changes = changes_of(whole, reference, margins, level)
    one = 1.0 - (1.0 - level) / max(len(parts), 1)  # Bonferroni
    size = -(-n_rows // max(len(parts), 1))
    batches = tuple(
        _batch(i * size, min((i + 1) * size, n_rows) - 1, part, reference, margins, one)
        for i, part in enumerate(parts)
    )
    every = [(c.verdict, c.reason) for c in changes]
    every += _of_batches(batches, worst(changes))
    told = sorted((e for e in every if e[0] != "keep"), key=lambda e: -VERDICTS.index(e[0]))
    z = float(norm.isf(0.5 * (1.0 - level)))
    blind = tuple(c.what for c in changes if z * c.error > _margin(margins, c.what))
    verdict = told[0][0] if told else "keep"
    reasons = tuple(reason for _, reason in told)
    return Drift(verdict, reasons, whole, reference, changes, batches, blind)


def worst(changes: tuple[Change, ...]) -> str:
    """Return the worst verdict."""
    return max((c.verdict for c in changes), key=VERDICTS.index, default="keep")


def _of_batches(batches: tuple[BatchDrift, ...], whole: str) -> list[tuple[str, str]]:
    """Return verdicts and reasons of batches worse than the whole, or bad where most are not."""
    at_least = max((b.verdict for b in batches), key=VERDICTS.index, default="keep")
    bad = [b for b in batches if b.verdict == at_least]
    if VERDICTS.index(at_least) < VERDICTS.index(whole) or 2 * len(bad) > len(batches):
        return []
    return [
        (c.verdict, f"rows {b.first_row:,} to {b.last_row:,}: {c.reason}")
        for b in bad
        for c in b.changes
        if c.verdict == at_least
    ]


def _margin(margins: Margins, what: str) -> float:
    return float(getattr(margins, what.replace(" ", "_"))[0])


def _batch(
    first: int, last: int, part: Profile, reference: Profile, margins: Margins, level: float
) -> BatchDrift:
    changes = changes_of(part, reference, margins, level) if part.n_rows > 0 else ()
    return BatchDrift(
        first, last, part.n_rows, part.log_density, part.outside, worst(changes), changes
    )


def changes_of(
    found: Profile, reference: Profile, margins: Margins, level: float
) -> tuple[Change, ...]:
    """Return what changed between two profiles."""
    z = float(norm.isf(0.5 * (1.0 - level)))
    changes = [_density(found, reference, margins, z), _weights(found, reference, margins, z)]
    if found.n_complete > 0 and np.isfinite(reference.outside):
        changes.append(_outside(found, reference, margins, z))
    return tuple(changes)


def _verdict(size: float, reach: float, margins: tuple[float, float]) -> str:
    sure = size - reach
    return "alarm" if sure > margins[1] else "refit" if sure > margins[0] else "keep"


def _density(found: Profile, reference: Profile, margins: Margins, z: float) -> Change:
    scale = float(np.sqrt(max(reference.log_density_variance, 1e-300)))
    variance = found.log_density_variance / found.n_rows
    variance += reference.log_density_variance / reference.n_rows
    error = float(np.sqrt(variance))
    size = (reference.log_density - found.log_density) / scale
    verdict = _verdict(size, z * error / scale, margins.log_density)
    if size < 0:  # denser than before: rows left the tails, which is no alarm
        verdict = _verdict(-0.5 * size, 0.5 * z * error / scale, (margins.log_density[0], np.inf))
    reason = (
        f"log-likelihood per row {found.log_density:.4g} against {reference.log_density:.4g} "
        f"(s.e. {error:.2g}, {abs(size):.2g} standard deviations of a row's)"
    )
    return Change("log density", abs(size), error / scale, verdict, reason)


def _weights(found: Profile, reference: Profile, margins: Margins, z: float) -> Change:
    off = found.weights - reference.weights
    variance = found.weights_variance / found.n_rows + reference.weights_variance / reference.n_rows
    error = np.sqrt(variance)
    size = 0.5 * float(np.abs(off).sum())
    # Sums of absolute differences are above 0 by chance alone: by the mean of a folded normal.
    chance = 0.5 * float((np.sqrt(2 / np.pi) * error).sum())
    spread = 0.5 * float(np.sqrt(variance.sum()))
    verdict = _verdict(size - chance, z * spread, margins.weights)
    k = int(np.abs(off).argmax())
    reason = (
        f"{size:.1%} of the rows moved to other components; weight of component {k}: "
        f"{reference.weights[k]:.3g} -> {found.weights[k]:.3g} (s.e. {error[k]:.2g})"
    )
    return Change("weights", size, spread, verdict, reason)


def _outside(found: Profile, reference: Profile, margins: Margins, z: float) -> Change:
    n, expected = found.n_complete, reference.outside
    of_reference = expected * (1 - expected) / max(reference.n_complete, 1.0)
    p = max(found.outside, 1.0 / n, OUTSIDE)
    error = float(np.sqrt(p * (1 - p) / n + of_reference))
    size = found.outside - expected
    reason = (
        f"{found.outside:.2%} of the rows lie outside the region of {1 - OUTSIDE:.1%} of the "
        f"model's rows ({expected:.2%} before)"
    )
    return Change("outside", size, error, _verdict(size, z * error, margins.outside), reason)
