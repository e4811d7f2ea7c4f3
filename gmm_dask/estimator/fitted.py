"""What a fitted mixture does with rows, in scikit-learn's words."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from gmm_dask.estimator import outputs
from gmm_dask.estimator.settings import check_words, seed_of
from gmm_dask.inputs import as_numbers, check_same_columns, column_names, is_lazy
from gmm_dask.mixture import Mixture


class FittedMixture(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """Methods of a fitted mixture; `GaussianMixture` adds how it is fitted."""

    n_features_in_: int
    mixture_: Mixture
    random_state: Any

    def predict(self, X: Any) -> Any:
        """Return the most probable component of each row, (N,) int64; lazy for Dask input."""
        return outputs.apply(self._ready(X), self.mixture_, "label")

    def predict_proba(self, X: Any) -> Any:
        """Return responsibilities (N, K); lazy for Dask input."""
        return outputs.apply(self._ready(X), self.mixture_, "resp")

    def score_samples(self, X: Any) -> Any:
        """Return log densities (N,), natural log per unit volume; lazy for Dask input."""
        return outputs.apply(self._ready(X), self.mixture_, "log_prob_norm")

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002
        """Return the mean log density of the rows."""
        return outputs.candidate(self._ready(X), self.mixture_).log_likelihood_per_row

    def bic(self, X: Any) -> float:
        """Return Schwarz's criterion on X: smaller is better."""
        return outputs.candidate(self._ready(X), self.mixture_).bic

    def aic(self, X: Any) -> float:
        """Return Akaike's criterion on X: smaller is better."""
        return outputs.candidate(self._ready(X), self.mixture_).aic

    def icl(self, X: Any) -> float:
        """Return the integrated completed likelihood on X, soft entropy: smaller is better."""
        return outputs.candidate(self._ready(X), self.mixture_).icl

    @property
    def n_parameters(self) -> int:
        """Free parameters of the fitted model."""
        check_is_fitted(self)
        return self.mixture_.n_parameters

    def sample(
        self, n_samples: int = 1, *, ordered: bool = False, chunks: int | None = None
    ) -> tuple[Any, Any]:
        """Return random rows (n, D) of the fitted model and their components (n,).

        Parameters
        ----------
        n_samples : int
        ordered : bool
            Sort the rows by component, as scikit-learn does; not with `chunks`.
        chunks : int, optional
            Return Dask arrays with so many rows a chunk; the rows do not depend on it.
        """
        check_is_fitted(self)
        if chunks is not None:
            check_words({"chunks": chunks})
        seed = seed_of(self.random_state)
        return outputs.sample(self.mixture_, n_samples, seed, ordered=ordered, chunks=chunks)

    def to_sklearn(self) -> Any:
        """Return a fitted ``sklearn.mixture.GaussianMixture`` with the same parameters."""
        check_is_fitted(self)
        return outputs.to_sklearn(self)

    def _ready(self, X: Any) -> Any:
        check_is_fitted(self)
        return self._validated(X, reset=False)

    def _validated(self, X: Any, *, reset: bool) -> Any:
        """Return data in memory as a float array, lazy data as they are; check the columns."""
        if not is_lazy(X):
            return validate_data(
                self,
                as_numbers(X),
                reset=reset,
                dtype=[np.float64, np.float32],
                order="C",
                ensure_min_samples=2 if reset else 1,
                ensure_all_finite=not reset,  # a fit counts bad values by column in its first pass
            )
        names, n_columns = column_names(X), outputs.width(X)
        if reset:
            self.n_features_in_ = n_columns
            self.__dict__.pop("feature_names_in_", None)
            if names is not None:
                self.feature_names_in_ = np.asarray(names, dtype=object)
        else:
            fitted = getattr(self, "feature_names_in_", None)
            check_same_columns(fitted, names, self.n_features_in_, n_columns)
        return X

    def _names(self) -> tuple[str, ...]:
        """Return the names of the columns, empty where there are none."""
        return tuple(getattr(self, "feature_names_in_", ()))

    def _set(self, mixture: Mixture) -> None:
        """Set the fitted parameters from a mixture."""
        self.mixture_ = mixture
        self.weights_ = mixture.weights.mean(axis=0)
        self.means_ = mixture.means
        self.covariances_ = mixture.covariances
        self.precisions_cholesky_ = outputs.precisions_cholesky(mixture)
        self.precisions_ = outputs.precisions(mixture, self.precisions_cholesky_)
