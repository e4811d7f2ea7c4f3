"""What a fitted mixture does with rows, in scikit-learn's words."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted

from gmm_dask.errors import ConfigError, DataError
from gmm_dask.estimator import expected, outputs, sampling
from gmm_dask.estimator.beside import beside_rows, measurements, tell_of_noise
from gmm_dask.estimator.checked import validated
from gmm_dask.estimator.compound import refuse_expected, refuse_sklearn, set_kappa
from gmm_dask.estimator.groups import in_groups, of_group
from gmm_dask.estimator.settings import check_words, seed_of
from gmm_dask.estimator.wide import Given, given
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

    def predict(
        self, X: Any, *, noise: Any = None, projection: Any = None, groups: Any = None
    ) -> Any:
        """Return the most probable component of each row, (N,) int64; lazy for Dask input.

        Parameters
        ----------
        X : (N, D)
        noise : (N, D) or (N, D, D), optional
        projection : (N, d, D), optional
            As in `fit`; all methods but `impute` take it, X then holds measurements.
        groups : (N,) labels, or "pooled"; for models that were fitted with groups
            By its group a row has weights; all methods take them. A label that the fit did not
            know is refused. "pooled" takes the weights of all rows of the fit together.

        Raises
        ------
        ConfigError
            Groups are needed, or not taken, or a label is not known.
        """
        return self._apply("label", X, noise=noise, projection=projection, groups=groups)

    def predict_proba(
        self, X: Any, *, noise: Any = None, projection: Any = None, groups: Any = None
    ) -> Any:
        """Return responsibilities (N, K); lazy for Dask input.

        Those of a row without any value are the weights.
        """
        return self._apply("resp", X, noise=noise, projection=projection, groups=groups)

    def score_samples(
        self, X: Any, *, noise: Any = None, projection: Any = None, groups: Any = None
    ) -> Any:
        """Return log densities (N,), natural log per unit volume; lazy for Dask input.

        Of a row with missing values: of what was observed, so densities of rows with different
        columns are in different units; 0 for a row without any value. Of a row with noise: of the
        noisy row; of measurements, in their units.
        """
        return self._apply("log_prob_norm", X, noise=noise, projection=projection, groups=groups)

    def score(
        self,
        X: Any,
        y: Any = None,  # noqa: ARG002
        *,
        sample_weight: Any = None,
        noise: Any = None,
        projection: Any = None,
        groups: Any = None,
    ) -> float:
        """Return the mean log density of the rows, weighted by `sample_weight`."""
        beside = {"noise": noise, "projection": projection, "groups": groups}
        return self._criteria(X, sample_weight=sample_weight, **beside).log_likelihood_per_row

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
        groups: Any = None,
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
        groups : (N,) labels, or "pooled"
            See `predict`.

        Raises
        ------
        ConfigError
            More than one of `return_std`, `return_cov` and `n_draws` is asked for.
        """
        if bool(return_std) + bool(return_cov) + (n_draws is not None) > 1:
            raise ConfigError("return_std, return_cov and n_draws exclude each other; give one")
        check_is_fitted(self)
        refuse_expected(self.mixture_, "impute", drawn=n_draws is not None)
        rows = self._validated(X, reset=False, holes=True)
        tell_of_noise(self, noise, stacklevel=3)
        parts = in_groups(self, given(self.n_features_in_, "marginalize", None, noise), groups)
        if n_draws is not None:
            check_words({"n_draws": n_draws})
            seed = seed_of(random_state)
            return expected.imputed_draws(rows, self.mixture_, parts, n_draws, seed)
        spread = "variance" if return_std else "covariance" if return_cov else ""
        return expected.imputed(rows, self.mixture_, parts, spread)

    def deconvolve(
        self, X: Any, noise: Any, *, projection: Any = None, groups: Any = None
    ) -> tuple[Any, Any]:
        """Return the posterior mean (N, D) and covariance (N, D, D) of each row's true value.

        Given the row, its noise and the model (Bayes' rule): values with large noise are drawn
        towards the components, exact ones stay. Lazy for Dask input (arrays).

        Parameters
        ----------
        X : (N, D)
        noise : (N, D) variances or (N, D, D) covariances
            Source units squared; an infinite variance says that a value is missing.
        groups : (N,) labels, or "pooled"
            See `predict`.

        References
        ----------
        Bovy, Hogg and Roweis 2011, Ann. Appl. Stat. 5:1657, equation 15.
        """
        rows = self._ready(X, projection)
        refuse_expected(self.mixture_, "deconvolve")
        if noise is None:
            raise DataError(
                "deconvolve needs the noise of the rows; for exact ones there is impute"
            )
        parts = in_groups(self, beside_rows(self, rows, None, noise, projection), groups)
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
        group: Any = None,
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
        group : label, optional
            Draw with the weights of one group; default those of all rows of the fit together.
        """
        check_is_fitted(self)
        if chunks is not None:
            check_words({"chunks": chunks})
        seed = seed_of(self.random_state)
        noise = sampling.noise_of_samples(noise, n_samples, self.mixture_.n_columns)
        draw = sampling.Draw(of_group(self, group), seed, noise)
        return sampling.sample(draw, n_samples, ordered=ordered, chunks=chunks)

    def to_sklearn(self) -> Any:
        """Return a fitted ``sklearn.mixture.GaussianMixture`` with the same parameters."""
        check_is_fitted(self)
        refuse_sklearn(self.mixture_)
        return outputs.to_sklearn(self)

    def _apply(self, output: str, X: Any, **beside: Any) -> Any:
        """Return an output for each row."""
        rows, parts = self._taken(X, **beside)
        return outputs.apply(rows, self.mixture_, output, parts)

    def _criteria(self, X: Any, **beside: Any) -> Candidate:
        rows, parts = self._taken(X, **beside)
        return outputs.candidate(rows, self.mixture_, parts)

    def _taken(
        self,
        X: Any,
        sample_weight: Any = None,
        noise: Any = None,
        projection: Any = None,
        groups: Any = None,
    ) -> tuple[Any, Given]:
        """Return rows, and what comes beside them."""
        rows = self._ready(X, projection)
        tell_of_noise(self, noise, stacklevel=5)
        found = beside_rows(self, rows, sample_weight, noise, projection)
        return rows, in_groups(self, found, groups)

    def _ready(self, X: Any, projection: Any = None) -> Any:
        check_is_fitted(self)
        if projection is not None:  # measurements are not the columns of the model
            return measurements(X, holes=self.missing == "marginalize")
        return self._validated(X, reset=False, holes=self.missing == "marginalize")

    def _validated(self, X: Any, *, reset: bool, holes: bool = False) -> Any:
        """Return data in memory as a float array, lazy data as they are; check the columns."""
        return validated(self, X, reset=reset, holes=holes)

    def _names(self) -> tuple[str, ...]:
        """Return the names of the columns, empty where there are none."""
        return tuple(getattr(self, "feature_names_in_", ()))

    def _set(self, mixture: Mixture) -> None:
        """Set the fitted parameters from a mixture."""
        self.mixture_ = mixture
        set_kappa(self, mixture)
        self.weights_ = mixture.pooled
        self.law_ = mixture.law.parameters(mixture.weights)
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
