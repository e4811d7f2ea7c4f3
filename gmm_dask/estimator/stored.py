"""Fitted mixtures as files."""

from __future__ import annotations

from typing import Any, Self

from sklearn.utils.validation import check_is_fitted

from gmm_dask.estimator.fitted import FittedMixture
from gmm_dask.estimator.models import load_attributes, save_attributes


class StoredMixture(FittedMixture):
    """A fitted mixture that can be saved and loaded."""

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
