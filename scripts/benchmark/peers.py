"""Other packages, each timed by the slope between fits of few and of more passes.

scikit-learn always; pyspark and pomegranate where they are installed. The slope leaves out what a
fit does once (Spark's start-up, conversions).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from cases import Case, Data
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

PASSES = 3


def sklearn_pass(case: Case, data: Data, threads: int) -> tuple[float, float]:
    """Return seconds of one pass of scikit-learn, and the log-likelihood after 1 + `PASSES`."""
    S = data.start["covariances"]
    inverse = np.linalg.inv(S) if case.covariance_type in ("full", "tied") else 1 / S
    seconds = []
    for passes in (1, 1 + PASSES):
        model = GaussianMixture(
            case.components,
            covariance_type=case.covariance_type,
            tol=0.0,
            reg_covar=1e-6,
            max_iter=passes,
            weights_init=data.start["weights"],
            means_init=data.start["means"],
            precisions_init=inverse,
        )
        with threadpool_limits(threads), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            began = time.perf_counter()
            model.fit(data.rows)
            seconds.append(time.perf_counter() - began)
    return (seconds[1] - seconds[0]) / PASSES, float(model.lower_bound_)


def pomegranate_pass(_: Case, data: Data) -> float:
    """Return seconds of one pass of pomegranate (full covariances, PyTorch, two threads)."""
    import torch
    from pomegranate.distributions import Normal
    from pomegranate.gmm import GeneralMixtureModel

    torch.set_num_threads(2)
    rows = torch.tensor(data.rows, dtype=torch.float64)
    seconds = []
    for passes in (1, 1 + PASSES):
        normals = [
            Normal(torch.tensor(m), torch.tensor(S), covariance_type="full")
            for m, S in zip(data.start["means"], data.start["covariances"], strict=True)
        ]
        model = GeneralMixtureModel(normals, max_iter=passes, tol=-np.inf).double()
        began = time.perf_counter()
        model.fit(rows)
        seconds.append(time.perf_counter() - began)
    return (seconds[1] - seconds[0]) / PASSES


def spark_pass(case: Case, data: Data) -> float:
    """Return seconds of one pass of Spark ML, two local threads; its start is random."""
    from pyspark.ml.clustering import GaussianMixture as SparkMixture
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import col

    options = {
        "spark.driver.memory": "6g",
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    builder = SparkSession.builder.master("local[2]")
    for key, value in options.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    table = spark.createDataFrame(
        spark.sparkContext.parallelize(data.rows.tolist(), 2), "array<double>"
    )
    frame = table.select(array_to_vector(col("value")).alias("features")).cache()
    frame.count()
    seconds = []
    for passes in (2, 2, 2 + 2 * PASSES):  # the first warms up the virtual machine
        began = time.perf_counter()
        SparkMixture(k=case.components, maxIter=passes, tol=0.0, seed=1).fit(frame)
        seconds.append(time.perf_counter() - began)
    frame.unpersist()
    return (seconds[2] - seconds[1]) / (2 * PASSES)


def others(case: Case) -> dict[str, Callable[[Case, Data], float]]:
    """Return the further peers that are installed and can fit this case."""
    known = {"pomegranate": pomegranate_pass, "pyspark": spark_pass}
    return {
        name: timed
        for name, timed in known.items()
        if case.covariance_type == "full" and find_spec(name) is not None
    }
