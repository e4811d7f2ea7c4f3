"""Fitted mixtures as files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from gmm_dask.blocks import RowLayout
from gmm_dask.estimator.fitted import FittedMixture
from gmm_dask.estimator.groups import name_groups
from gmm_dask.estimator.models import load_attributes, save_attributes
from gmm_dask.estimator.running import layout_of, words_of
from gmm_dask.search import Grid
from gmm_dask.selection import Candidate


class StoredMixture(FittedMixture):
    """A fitted mixture that can be saved and loaded, or made of a candidate of a grid."""

    def save(self, path: Any, extra: dict[str, Any] | None = None) -> None:
        """Write the fitted model to a zarr folder, without pickle; see `load`.

        Parameters
        ----------
        path : path
            Written aside, then renamed.
        extra : dict, optional
            Plain values and arrays to keep beside the model; `load` gives them as ``extra_``.
        """
        check_is_fitted(self)
        save_attributes(path, self, extra or {})

    @classmethod
    def load(cls, path: Any) -> Self:
        """Return the model that `save` wrote, of this or an earlier version.

        Raises
        ------
        FormatError
            The folder is no model, damaged, or written by a newer version.
        """
        model = cls()
        load_attributes(path, model)
        return model

    def _describe(self, layout: RowLayout) -> None:
        """Record what the rows of the fit were like."""
        self.noise_type_ = layout.noise or "none"
        self.weighted_ = layout.sample_weight
        if layout.measured:  # the names are those of measurements, not of the columns
            self.__dict__.pop("feature_names_in_", None)

    @classmethod
    def from_candidate(
        cls,
        candidate: Candidate,
        grid: Grid,
        names: Sequence[str] | None = None,
        groups: Sequence[Any] | None = None,
    ) -> Self:
        """Return a fitted estimator for one candidate of a grid.

        Parameters
        ----------
        candidate : Candidate
        grid : Grid
        names : sequence of D str, optional
            Names of the columns.
        groups : sequence of G labels, optional
            Names of the groups, in the order of their weights.
        """
        model = cls(**words_of(candidate, grid))
        model._describe(layout_of(grid, candidate.mixture.n_columns))
        model.n_features_in_ = candidate.mixture.n_columns
        if names is not None:
            model.feature_names_in_ = np.asarray(names, dtype=object)
        model.seed_ = grid.seed
        model._adopt(candidate)
        name_groups(model, groups)
        return model
