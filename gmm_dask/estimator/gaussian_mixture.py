"""`GaussianMixture`: scikit-learn's words and attributes, on data of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from gmm_dask.drive import PassDone
from gmm_dask.estimator.beside import refuse_projected
from gmm_dask.estimator.compound import shape_for
from gmm_dask.estimator.groups import begun_from, grouped, name_groups
from gmm_dask.estimator.running import grid_of, printer, warn_of
from gmm_dask.estimator.settings import (
    check_settings,
    check_words,
    given_parameters,
    going_on,
    seed_of,
)
from gmm_dask.estimator.stored import StoredMixture
from gmm_dask.estimator.wide import given, joined_source
from gmm_dask.inputs import open_engine
from gmm_dask.many import run_grid
from gmm_dask.state import CheckpointSettings


class GaussianMixture(StoredMixture):
    """Gaussian mixture for data in memory, out of core, or on a Dask cluster.

    The words, shapes and attributes are those of ``sklearn.mixture.GaussianMixture``. Departures:

    - ``reg_covar=None`` (the default) bounds every variance from below by 1e-6 of its column's
      own variance, so the answer does not depend on units; a number is added to every variance,
      as in scikit-learn.
    - ``tol`` must be met by the last gain *and* by the estimated remaining gain per row, so EM
      does not stop on a slow slope. Where a pass in scikit-learn would end the fit, this one may
      go on.
    - ``init_params`` adds ``"k-means||"`` (exact on data of any size; the others use a random
      sample of 16384 rows, which is all rows for small data) and ``"auto"``. Distances are
      between standardised columns. ``"random_from_data"`` begins with equal weights and the total
      covariance; ``"k-means++"`` with the rows nearest to each of the chosen ones.
    - Components come out by descending weight, ties by mean.
    - ``sample`` returns rows in random order unless ``ordered=True``, and the same rows for the
      same ``random_state`` whatever the number asked for.
    - Constant columns are an error unless ``reg_covar`` is a positive number.
    - On Dask input ``predict``, ``predict_proba`` and ``score_samples`` are lazy.

    Parameters
    ----------
    n_components : int, default 1
    covariance_type : {"full", "tied", "diag", "spherical"}, default "full"
    tol : float, default 1e-3
        Log-likelihood per row.
    reg_covar : float or None, default None
        Source units squared.
    max_iter : int, default 100
    n_init : int, default 1
        Restarts; all advance in the same passes, the best is kept.
    init_params : {"kmeans", "k-means||", "k-means++", "random", "random_from_data", "auto"}
    weights_init : (K,), optional
    means_init : (K, D), optional
    precisions_init : optional
        Shape by covariance type: (K, D, D), (D, D), (K, D) or (K,).
    random_state : int, RandomState or None
        None draws a seed, kept as ``seed_``.
    warm_start : bool, default False
        Go on from the last fit's parameters.
    verbose : int, default 0
        1 prints a line every `verbose_interval` passes.
    verbose_interval : int, default 10
    missing : {"error", "marginalize"}, default "error"
        What NaN is: refused, or a value that was not measured, assumed missing at random.
    frozen : dict, optional
        What is held, by component: ``{0: ["mean", "covariance"], 2: ["weight"]}``, at the values
        of ``weights_init``, ``means_init`` and ``precisions_init``, where NaN leaves a component
        to the start. It keeps its bits, and its component its number; ``n_parameters`` leaves it
        out. Weights that are not held share what is left.
    shared : dict, optional
        What components have in common: ``{"covariance": [[0, 1]], "mean": [[0, 1], {2: 0, 3: 1}]}``
        for groups of one covariance, of equal means, and means on a line ``a + b t``, t given.
    covariance_prior : bool, default False
        Maximise the posterior under mclust's default prior (Fraley and Raftery 2007, J. Classif.
        24:155), which keeps covariances from collapsing; not with `reg_covar` above 0.
        ``lower_bound_`` is then that of the posterior; criteria stay those of the likelihood.
    assignment : {"soft", "hard"}, default "soft"
        hard gives each row to its likeliest component alone (classification EM), and
        ``lower_bound_`` then is the classification log-likelihood. Where components overlap its
        variances are too small and its weights too extreme. Not with noise.
    compute_dtype : {"float64", "float32"}, default "float64"
        In which passes over complete rows compute. float32 is refused where its error might
        exceed 1e-3 of a covariance (see `kernels.single`); rows with missing values, noise,
        weights or groups are computed in float64 whatever it says.
    weights : str, list, dict or law, default "free"
        The law of the weights: "free", "equal", a list of K, {"dirichlet": alpha}, "poisson",
        "zip", "binomial" or "hardy_weinberg"; see `gmm_dask.laws`. Components of a law of copies
        come out in the order of copies.
    circular : dict, optional
        Columns that are angles, by position or name, with their periods: ``{"hue": 360}``. They
        are von Mises distributed, independent of all else within a component; ``means_`` has
        their mean directions from 0 up to the period, ``covariances_`` the other columns alone.
    background : "uniform" or dict, optional
        One component more, uniform over the range of the data or over limits given for columns,
        ``{column: (lowest, highest)}``. It is the last: label K. See `families.background`.

    Attributes
    ----------
    weights_ : (K,)
        Of all rows together.
    law_ : dict
        The law's own parameters by name, such as lambda, (G,) each; G = 1 without groups.
    groups_ : (G,), weights_by_group_ : (G, K)
        Labels, and the weights of each group; only for fits with groups.
    means_ : (K, D)
    covariances_, precisions_, precisions_cholesky_ : shapes by covariance type
    kappa_ : (K, C), only with `circular`
        Concentrations of the angles, in the order of their columns; an angle's standard deviation
        is about period / (2 pi sqrt(kappa)).
    converged_ : bool
    n_iter_ : int
        Passes of the best restart.
    lower_bound_ : float
        Log-likelihood per row of the last E-step of the best restart.
    lower_bounds_ : list of float
        The same after each pass.
    n_features_in_ : int
    feature_names_in_ : (D,) of str, only for data with column names
    noise_type_ : {"none", "diag", "full"}
        What noise the rows of the fit had.
    weighted_ : bool
        Whether they had weights.
    mixture_ : Mixture
        The frozen value behind all of these.
    candidate_ : Candidate
        Criteria, restarts, warnings.

    Examples
    --------
    >>> import numpy as np
    >>> from gmm_dask import GaussianMixture
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (600, 2)), rng.normal(8, 1, (400, 2))])
    >>> GaussianMixture(2, random_state=0).fit(X).weights_.round(2)
    array([0.6, 0.4])
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float | None = None,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        missing: str = "error",
        compute_dtype: str = "float64",
        circular: Any = None,
        background: Any = None,
        weights: Any = "free",
        frozen: Any = None,
        shared: Any = None,
        assignment: str = "soft",
        covariance_prior: bool = False,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.missing = missing
        self.compute_dtype = compute_dtype
        self.circular = circular
        self.background = background
        self.weights = weights
        self.frozen = frozen
        self.shared = shared
        self.assignment = assignment
        self.covariance_prior = covariance_prior

    def fit(
        self,
        X: Any,
        y: Any = None,  # noqa: ARG002  # scikit-learn's convention
        *,
        sample_weight: Any = None,
        noise: Any = None,
        projection: Any = None,
        groups: Any = None,
        checkpoint: Any = None,
        resume: str = "auto",
        callback: Callable[[PassDone], None] | None = None,
        on_interrupt: str = "raise",
    ) -> Self:
        """Fit the mixture by EM.

        Parameters
        ----------
        X : (N, D) array, dataframe, Dask array or dataframe, zarr array or Source
        y : ignored
        sample_weight : (N,), optional
            Weight 2 counts as the row twice, weight 0 as its absence.
        noise : (N, D) or (N, D, D), optional
            Variances or covariances of each row's errors, source units squared; the mixture then
            is that of the true values (extreme deconvolution). An infinite variance says that a
            value is missing. Weights and noise come as X does: arrays in memory, or Dask
            collections (cut as X is) beside Dask data; beside stored data they may be stored.
        projection : (N, d, D), optional
            A row of X (N, d) then holds d measurements: this times its D true values, plus errors
            `noise`, (N, d) or (N, d, d). What was not measured is NaN (``missing="marginalize"``).
        groups : (N,) labels, optional
            Wells, plates, batches: each has weights of its own, components are shared. Of any
            type; Dask labels beside Dask data.
        checkpoint : path, optional
            Folder in which the fit is saved every minute, and from which it goes on.
        resume : {"auto", "never", "require"}
            Whether to go on from a checkpoint.
        callback : callable, optional
            Called with a `PassDone` after each pass.
        on_interrupt : {"raise", "return"}
            What Ctrl-C does: raise, or keep the best parameters so far.

        Raises
        ------
        DataError
            NaN, infinite or constant columns, fewer rows than components, wrong types.
        ConfigError
            A parameter is out of range.
        """
        check_settings(self)
        check_words({"resume": resume, "on_interrupt": on_interrupt})
        last = self.mixture_ if self.warm_start and hasattr(self, "mixture_") else None
        data = self._validated(X, reset=True)
        words = (self.missing, sample_weight, noise, self.compute_dtype, projection)
        parts = given(self.n_features_in_, *words)
        refuse_projected(self, parts.layout, groups)
        D = self.n_features_in_ = parts.layout.n_columns
        names, parts = grouped(parts, groups)
        if last:
            last = begun_from(last, getattr(self, "groups_", None), names)
        source = joined_source(data, parts, self._names())
        seed = self.seed_ = seed_of(self.random_state)
        engine, source = open_engine(source)
        start = going_on(self, last, D) if last else given_parameters(self, D)
        shape = shape_for(self, self._names(), D, start, parts.layout)
        shown = printer(self.verbose, self.verbose_interval)
        settings = CheckpointSettings(checkpoint, resume=resume) if checkpoint else None
        with engine:
            result = run_grid(
                source,
                grid_of(self, seed, 1 if last else int(self.n_init), parts.layout, shape),
                engine,
                given=start,
                checkpoint=settings,
                watch=[w for w in (callback, shown) if w],
                on_interrupt=on_interrupt,
            )
        self._describe(parts.layout)
        self._adopt(result.candidates[0])
        name_groups(self, names)
        warn_of(result)
        return self

    def fit_predict(
        self,
        X: Any,
        y: Any = None,  # noqa: ARG002
        *,
        sample_weight: Any = None,
        noise: Any = None,
        projection: Any = None,
        groups: Any = None,
    ) -> Any:
        """Fit and return the label of each row; see `fit` and `predict`."""
        beside = {"noise": noise, "projection": projection, "groups": groups}
        return self.fit(X, sample_weight=sample_weight, **beside).predict(X, **beside)
