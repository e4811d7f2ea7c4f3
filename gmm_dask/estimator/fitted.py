"""What a fitted mixture does with rows, in scikit-learn's words."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from gmm_dask.errors import ConfigError, DataError, DataWarning
from gmm_dask.estimator import expected, outputs, sampling
from gmm_dask.estimator.settings import check_words, seed_of
from gmm_dask.estimator.wide import Given, given
from gmm_dask.inputs import as_numbers, check_same_columns, column_names, is_lazy
from gmm_dask.mixture import Mixture
from gmm_dask.selection import Candidate


class FittedMixture(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """Methods of a fitted mixture; `GaussianMixture` adds how it is fitted."""

    n_features_in_: int
    mixture_: Mixture
    noise_type_: str
    random_state: Any
    missing: str

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: whether NaN is taken depends on ``missing``."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "marginalize"
        return tags

    def predict(self, X: Any, *, noise: Any = None, projection: Any = None) -> Any:
        """Return the most probable component of each row, (N,) int64; lazy for Dask input."""
        return self._apply("label", X, noise, projection)

    def predict_proba(self, X: Any, *, noise: Any = None, projection: Any = None) -> Any:
        """Return responsibilities (N, K); lazy for Dask input.

        Those of a row without any value are the weights.
        """
        return self._apply("resp", X, noise, projection)

    def score_samples(self, X: Any, *, noise: Any = None, projection: Any = None) -> Any:
        """Return log densities (N,), natural log per unit volume; lazy for Dask input.

        Of a row with missing values: of what was observed, so densities of rows with different
        columns are in different units; 0 for a row without any value. Of a row with noise: of the
        noisy row. Of a row with a projection: of its measurements, in their units.
        """
        return self._apply("log_prob_norm", X, noise, projection)

    def score(
        self,
        X: Any,
        y: Any = None,  # noqa: ARG002
        *,
        sample_weight: Any = None,
        noise: Any = None,
        projection: Any = None,
    ) -> float:
        """Return the mean log density of the rows.

        Parameters
        ----------
        X : (N, D)
        y : ignored
        sample_weight, noise, projection : optional
            As in `fit`.
        """
        return self._criteria(X, sample_weight, noise, projection).log_likelihood_per_row

    def bic(self, X: Any, **beside: Any) -> float:
        """Return Schwarz's criterion on X: smaller is better. N is the sum of the weights.

        Parameters are those of `score`.
        """
        return self._criteria(X, **beside).bic

    def aic(self, X: Any, **beside: Any) -> float:
        """Return Akaike's criterion on X: smaller is better; parameters as of `score`."""
        return self._criteria(X, **beside).aic

    def icl(self, X: Any, **beside: Any) -> float:
        """Return the integrated completed likelihood on X, soft entropy: smaller is better.

        Parameters are those of `score`.
        """
        return self._criteria(X, **beside).icl

    def impute(
        self,
        X: Any,
        *,
        noise: Any = None,
        return_std: bool = False,
        return_cov: bool = False,
        n_draws: int | None = None,
        random_state: Any = 0,
    ) -> Any:
        """Return rows with missing values (NaN) replaced by what the model expects of them.

        Whatever the word ``missing`` is; values that are there stay as they are. Means are the
        best guess for each value; statistics of rows so filled are too narrow, those of several
        draws are not. Lazy for Dask input (arrays, for dataframes too).

        Parameters
        ----------
        X : (N, D)
        noise : (N, D) variances or (N, D, D) covariances of the values, optional
        return_std : bool
            Return conditional standard deviations (N, D), too; 0 for values that are there.
        return_cov : bool
            Return conditional covariances (N, D, D), too.
        n_draws : int, optional
            Return so many draws (n_draws, N, D) instead, from the joint distribution of the
            missing values given the others.
        random_state : int or RandomState
            Of the draws; those of a row depend on its number and the seed alone.

        Raises
        ------
        ConfigError
            More than one of `return_std`, `return_cov` and `n_draws` is asked for.
        """
        if bool(return_std) + bool(return_cov) + (n_draws is not None) > 1:
            raise ConfigError("return_std, return_cov and n_draws exclude each other; give one")
        check_is_fitted(self)
        rows = self._validated(X, reset=False, holes=True)
        self._tell_of_noise(noise, stacklevel=3)
        parts = given(self.n_features_in_, "marginalize", None, noise)
        if n_draws is not None:
            check_words({"n_draws": n_draws})
            seed = seed_of(random_state)
            return expected.imputed_draws(rows, self.mixture_, parts, n_draws, seed)
        spread = "variance" if return_std else "covariance" if return_cov else ""
        return expected.imputed(rows, self.mixture_, parts, spread)

    def deconvolve(self, X: Any, noise: Any, *, projection: Any = None) -> tuple[Any, Any]:
        """Return the posterior mean (N, D) and covariance (N, D, D) of each row's true value.

        Given the row, its noise and the model (Bayes' rule): values with large noise are drawn
        towards the components, exact ones stay. Lazy for Dask input (arrays).

        Parameters
        ----------
        X : (N, D)
        noise : (N, D) variances or (N, D, D) covariances
            Source units squared; an infinite variance says that a value is missing.
        projection : (N, d, D), optional
            As in `fit`; X then holds measurements, and the noise is theirs.

        References
        ----------
        Bovy, Hogg and Roweis 2011, Ann. Appl. Stat. 5:1657, equation 15.
        """
        rows = self._ready(X, projected=projection is not None)
        if noise is None:
            raise DataError(
                "deconvolve needs the noise of the rows; for exact ones there is impute"
            )
        parts = self._given(rows, None, noise, projection)
        return expected.true_values(rows, self.mixture_, parts)

    @property
    def n_parameters(self) -> int:
        """Free parameters of the fitted model."""
        check_is_fitted(self)
        return self.mixture_.n_parameters

    def sample(
        self,
        n_samples: int = 1,
        *,
        ordered: bool = False,
        chunks: int | None = None,
        noise: Any = None,
    ) -> tuple[Any, Any]:
        """Return random rows (n, D) of the fitted model and their components (n,).

        Parameters
        ----------
        n_samples : int
        ordered : bool
            Sort the rows by component, as scikit-learn does; not with `chunks`.
        chunks : int, optional
            Return Dask arrays with so many rows a chunk; the rows do not depend on it.
        noise : (D,), (n, D) or (n, D, D), optional
            Variances of all rows, variances or covariances of each: the same rows come out as
            they would be observed, with errors added, NaN where a variance is infinite.
        """
        check_is_fitted(self)
        if chunks is not None:
            check_words({"chunks": chunks})
        seed = seed_of(self.random_state)
        noise = sampling.noise_of_samples(noise, n_samples, self.mixture_.n_columns)
        draw = sampling.Draw(self.mixture_, seed, noise)
        return sampling.sample(draw, n_samples, ordered=ordered, chunks=chunks)

    def to_sklearn(self) -> Any:
        """Return a fitted ``sklearn.mixture.GaussianMixture`` with the same parameters."""
        check_is_fitted(self)
        return outputs.to_sklearn(self)

    def _apply(self, output: str, X: Any, noise: Any, projection: Any) -> Any:
        """Return an output for each row."""
        rows = self._ready(X, projected=projection is not None)
        self._tell_of_noise(noise, stacklevel=4)
        parts = self._given(rows, None, noise, projection)
        return outputs.apply(rows, self.mixture_, output, parts)

    def _criteria(
        self, X: Any, sample_weight: Any = None, noise: Any = None, projection: Any = None
    ) -> Candidate:
        rows = self._ready(X, projected=projection is not None)
        self._tell_of_noise(noise, stacklevel=4)
        parts = self._given(rows, sample_weight, noise, projection)
        return outputs.candidate(rows, self.mixture_, parts)

    def _given(self, rows: Any, sample_weight: Any, noise: Any, projection: Any) -> Given:
        """Return what comes beside the rows."""
        parts = given(
            outputs.width(rows), self.missing, sample_weight, noise, projection=projection
        )
        if parts.layout.n_columns != self.n_features_in_:
            raise DataError(
                f"projections lead from {parts.layout.n_columns} columns, the model has "
                f"{self.n_features_in_}"
            )
        return parts

    def _tell_of_noise(self, noise: Any, stacklevel: int) -> None:
        """Warn where noise may have been forgotten."""
        if noise is None and getattr(self, "noise_type_", "none") != "none":
            message = (
                "the model was fitted with noise and describes true values; without noise these "
                "rows are taken as exact (noise of zeros says so)"
            )
            warnings.warn(message, DataWarning, stacklevel=stacklevel)

    def _ready(self, X: Any, *, projected: bool = False) -> Any:
        check_is_fitted(self)
        holes = self.missing == "marginalize"
        if projected:  # measurements are not the columns of the model
            return X if is_lazy(X) else check_array(as_numbers(X), **_words(holes))
        return self._validated(X, reset=False, holes=holes)

    def _validated(self, X: Any, *, reset: bool, holes: bool = False) -> Any:
        """Return data in memory as a float array, lazy data as they are; check the columns."""
        if not is_lazy(X):
            # a fit counts bad values by column in its first pass
            words = _words(holes) | ({"ensure_all_finite": False} if reset else {})
            rows = 2 if reset else 1
            return validate_data(self, as_numbers(X), reset=reset, ensure_min_samples=rows, **words)
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

    def _adopt(self, candidate: Candidate) -> None:
        """Set the fitted attributes from a candidate."""
        self._set(candidate.mixture)
        self.candidate_: Candidate = candidate
        self.converged_ = candidate.converged
        self.n_iter_ = candidate.best.n_iter
        self.lower_bounds_ = list(candidate.lower_bounds)
        self.lower_bound_ = candidate.best.lower_bound


def _words(holes: bool) -> dict[str, Any]:
    """Return what scikit-learn's checks are told of data in memory."""
    finite = "allow-nan" if holes else True
    return {"dtype": [np.float64, np.float32], "order": "C", "ensure_all_finite": finite}
