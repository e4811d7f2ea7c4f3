"""Rows of a source as the fitted mixture sees them: complete, or with holes, noise and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gmm_dask import Mixture, Observed, RowLayout, check_rows, observer_of, posterior_rows
from pipeline.stages.steps import FloatArray
from pipeline.stages.transform import Transform

EXPECTED = ("deconvolved_mean", "imputed")
"""Words of ``output.columns`` that give one number for each column of the source."""

TILE_MATRICES = 1024


class Seen(NamedTuple):
    """Rows under a mixture."""

    values: npt.NDArray[Any]
    """(n, D) source units; NaN where missing."""
    inner: Observed
    """What the mixture sees."""
    log_density: FloatArray
    """(n,) of what was observed, source units; NaN for rows without any value."""
    resp: FloatArray
    """(n, K)."""
    blank: npt.NDArray[np.bool_]
    """(n,) whether the row has no value at all."""


@dataclass(frozen=True)
class Sight:
    """A mixture with the way from rows of the source to it.

    Parameters
    ----------
    mixture : Mixture
    transform : Transform, optional
    layout : RowLayout, optional
        Of the rows of the source; None: complete rows of nothing but values.
    """

    mixture: Mixture
    transform: Transform | None = None
    layout: RowLayout | None = None

    @property
    def plain(self) -> bool:
        """Whether rows are complete and without noise and weights, and components Gaussian."""
        plain = self.layout is None or self.layout.plain
        return plain and not self.mixture.family.compound

    def prepare(self) -> Any:
        """Return what `see` needs, once per process."""
        return self.mixture.prepare() if self.plain else observer_of(self.mixture)

    def see(self, prepared: Any, rows: npt.NDArray[Any], start: int = 0) -> Seen:
        """Return rows (n, width) of the source under the mixture.

        Parameters
        ----------
        prepared
            What `prepare` gave.
        rows : (n, width)
        start : int
            Absolute number of the first row, for messages.

        Raises
        ------
        DataError
            A row has a value that is not finite where it must be, or impossible noise.
        """
        if self.plain:
            inner = self._through(rows, start)
            log_density, resp = posterior_rows(self.mixture, prepared, inner, start)
            blank = np.zeros(len(rows), dtype=bool)
            return Seen(rows, Observed(inner), log_density + self.volume(rows), resp, blank)
        layout = self.layout or RowLayout(rows.shape[1])
        taken = layout.split(rows)
        check_rows(taken, start, missing=layout.missing)
        steps = self.transform is not None and self.transform.steps
        observed = self.transform.observed(taken, start) if self.transform and steps else taken
        log_density, resp = prepared.posterior(observed)
        blank = np.isnan(taken.values).all(axis=1)
        log_density = np.where(blank, np.nan, log_density + self.volume(taken.values))
        return Seen(taken.values, observed, log_density, resp, blank)

    def expected(self, prepared: Any, seen: Seen, word: str) -> FloatArray:
        """Return true values (n, D) in source units.

        Parameters
        ----------
        prepared : Observer
        seen : Seen
        word : {"deconvolved_mean", "imputed"}
            The posterior mean of all true values, or that of missing values beside those that are
            there.
        """
        parts = []
        for lo in range(0, len(seen.values), TILE_MATRICES):
            tile = slice(lo, lo + TILE_MATRICES)
            some = Observed(*(None if part is None else part[tile] for part in seen.inner))  # type: ignore[arg-type]
            mean = prepared.true_values(some)[0]
            parts.append(self.transform.invert(mean) if self.transform else mean)
        true: FloatArray = np.concatenate(parts) if parts else np.empty(seen.values.shape)
        return np.where(np.isnan(seen.values), true, seen.values) if word == "imputed" else true

    def _through(self, rows: npt.NDArray[Any], start: int) -> npt.NDArray[Any]:
        return rows if self.transform is None else self.transform.apply(rows, start)

    def volume(self, values: npt.NDArray[Any]) -> FloatArray:
        """Return what the transform adds to the log density of rows (n, D) in source units."""
        if self.transform is None:
            return np.zeros(len(values))
        return self.transform.log_jacobian(values)


def labels_of(seen: Seen) -> npt.NDArray[np.int64]:
    """Return the most probable component of each row (n,); -1 for rows without any value."""
    return np.where(seen.blank, -1, seen.resp.argmax(axis=1))
