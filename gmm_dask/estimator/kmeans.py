"""`KMeans`: scikit-learn's words and attributes, on data of any size."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from gmm_dask.blocks import Block, FloatArray, Frame
from gmm_dask.errors import ConfigError
from gmm_dask.estimator.checked import validated
from gmm_dask.estimator.clustering import NearestRows, Wanted, centred, cluster
from gmm_dask.estimator.settings import check_words, seed_of
from gmm_dask.estimator.wide import given, joined_source
from gmm_dask.folds.assign import NearestCentre
from gmm_dask.folds.rows import RowShare
from gmm_dask.inputs import is_dask, is_lazy, open_engine, open_source

STARTS = ("k-means||", "k-means++", "random")


class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """k-means for data in memory, out of core, or on a Dask cluster.

    Lloyd's iterations in source units, as ``sklearn.cluster.KMeans`` with ``algorithm="lloyd"``:
    from the same centres the same labels pass by pass, clusters that lose all rows begin again at
    the farthest ones. All restarts advance in the same passes; the bits of the answer do not
    depend on chunks or workers. Departures:

    - ``init`` is ``"k-means||"`` by default, which draws from all rows in five passes. The other
      starts draw from a random sample of 16384 rows (50 a cluster if that is more).
    - ``cluster_centers_`` are float64.
    - ``labels_`` is there for data in memory only; for others there is ``predict``, which is lazy
      for Dask input.

    Parameters
    ----------
    n_clusters : int, default 8
    init : {"k-means||", "k-means++", "random"} or (K, D) array, default "k-means||"
    n_init : int or "auto", default "auto"
        Restarts, of which that of the least inertia is kept; auto is 10 for random, else 1.
    max_iter : int, default 300
        Steps of the centres.
    tol : float, default 1e-4
        A run ends when the squared steps of all centres sum to less than this share of the mean
        variance of the columns, or no label changes.
    random_state : int, RandomState or None
        None draws a seed, kept as ``seed_``.

    Attributes
    ----------
    cluster_centers_ : (K, D)
    labels_ : (N,) int64
    inertia_ : float
        Sum of squared distances to the nearest centre, times weights where there are any.
    n_iter_ : int
    n_features_in_ : int
    feature_names_in_ : (D,) of str, only for data with column names

    References
    ----------
    Lloyd 1982, IEEE Trans. Inf. Theory 28:129; Bahmani et al. 2012, Proc. VLDB 5:622.

    Examples
    --------
    >>> import numpy as np
    >>> from gmm_dask import KMeans
    >>> X = np.array([[1.0, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> sorted(KMeans(2, random_state=0).fit(X).cluster_centers_.tolist())
    [[1.0, 2.0], [10.0, 2.0]]
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means||",
        n_init: Any = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> Self:  # noqa: ARG002
        """Find the centres.

        Parameters
        ----------
        X : (N, D) array, dataframe, Dask array or dataframe, zarr array or Source
        y : ignored
        sample_weight : (N,), optional
            Weight 2 counts as the row twice, weight 0 as its absence.

        Raises
        ------
        DataError
            NaN or infinite values, fewer rows than clusters, wrong types.
        ConfigError
            A parameter is out of range.
        """
        data = validated(self, X, reset=True, least=1)
        wanted = self._wanted()
        parts = given(self.n_features_in_, "error", sample_weight)
        names = tuple(getattr(self, "feature_names_in_", ()))
        engine, source = open_engine(joined_source(data, parts, names))
        with engine:
            best = cluster(source, parts.layout, wanted, engine)
        frame = best.template.frame
        self._frame, self._centres = frame, best.centres
        self.seed_ = wanted.seed
        self.cluster_centers_ = frame.backward(best.centres)
        self.inertia_ = best.inertia * float(frame.scale[0]) ** 2
        self.n_iter_ = best.n_iter
        self._n_features_out = len(best.centres)
        if not is_lazy(data):
            self.labels_ = NearestRows(frame, best.centres, "label")(data)
        _tell_of_copies(self.cluster_centers_)
        return self

    def fit_predict(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> Any:  # noqa: ARG002
        """Fit and return the label of each row."""
        self.fit(X, sample_weight=sample_weight)
        return self.predict(X) if is_lazy(X) else self.labels_

    def predict(self, X: Any) -> Any:
        """Return the nearest centre of each row, (N,) int64; lazy for Dask input."""
        return self._apply("label", X)

    def transform(self, X: Any) -> Any:
        """Return the distances (N, K) of each row from all centres; lazy for Dask input."""
        return self._apply("distance", X)

    def score(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> float:  # noqa: ARG002
        """Return minus the inertia of the rows."""
        check_is_fitted(self)
        data = validated(self, X, reset=False)
        parts = given(self.n_features_in_, "error", sample_weight)
        engine, source = open_engine(joined_source(data, parts))
        rows, metric = RowShare.all_rows(parts.layout), np.eye(self.n_features_in_)
        with engine:
            fold = NearestCentre(centred(self._frame, self._centres), metric, rows)
            sums = engine.fold(fold, source)
        return float(sums.log_likelihood) * float(self._frame.scale[0]) ** 2

    def _apply(self, output: str, X: Any) -> Any:
        check_is_fitted(self)
        rows = validated(self, X, reset=False)
        function = NearestRows(self._frame, self._centres, output)
        if isinstance(rows, np.ndarray):
            return function(rows)
        if is_dask(rows):
            from gmm_dask.engine.dask_rows import map_rows

            dtype = np.int64 if output == "label" else np.float64
            return map_rows(rows, function, function.n_outputs, dtype, output)
        engine, source = open_engine(open_source(rows))
        with engine:
            return np.concatenate(engine.map(partial(_of_block, function), source))

    def _wanted(self) -> Wanted:
        """Return the constructor's words, checked."""
        check_words({"n_clusters": self.n_clusters, "max_iter": self.max_iter, "tol": self.tol})
        K, init = int(self.n_clusters), self.init
        if not isinstance(init, str):
            init = np.asarray(init, dtype=np.float64)
            if init.shape != (K, self.n_features_in_) or not np.isfinite(init).all():
                raise ConfigError(
                    f"init has shape {init.shape}; finite centres of shape "
                    f"{(K, self.n_features_in_)} are needed"
                )
        elif init not in STARTS:
            raise ConfigError(f"init is {init!r}; one of {', '.join(STARTS)}, or centres (K, D)")
        n_init = self.n_init
        if isinstance(n_init, str) and n_init == "auto":
            n_init = 10 if isinstance(init, str) and init == "random" else 1
        check_words({"n_init": n_init})
        n_init = 1 if isinstance(init, np.ndarray) else int(n_init)
        return Wanted(K, init, n_init, float(self.tol), int(self.max_iter), self._seed())

    def _seed(self) -> int:
        return seed_of(self.random_state)

    _frame: Frame
    _centres: FloatArray


def _of_block(function: NearestRows, block: Block) -> Any:
    return function(block.values, block.start)


def _tell_of_copies(centres: FloatArray) -> None:
    distinct = len(np.unique(centres, axis=0))
    if distinct < len(centres):
        message = (
            f"{distinct} distinct clusters were found, fewer than n_clusters ({len(centres)}): "
            "the data may hold rows that are equal"
        )
        warnings.warn(message, ConvergenceWarning, stacklevel=3)
