"""Generated code for rows with errors of their own, against the plain oracle and long double."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask.errors import DataError
from gmm_dask.kernels import noisy
from gmm_dask.kernels import reference_noisy as reference
from gmm_dask.kernels.native.noisy_key import UNROLLED
from gmm_dask.tree import fingerprint

KINDS = ("full", "tied", "diag", "spherical")
NOISES = ("none", "diag", "full", "singular", "one column")
SIZES = (1, 7, 8, 256, 257)
Wide = np.longdouble


def model_of(kind: str, D: int, K: int, seed: int) -> noisy.NoisyModel:
    """A mixture of components that overlap."""
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(K, D, D))
    full = half @ half.transpose(0, 2, 1) / D + 0.3 * np.eye(D)
    diagonal = np.diagonal(full, axis1=1, axis2=2).copy()
    covariances = {"full": full, "tied": full[0], "diag": diagonal, "spherical": diagonal[:, 0]}
    log_weights = np.log(rng.dirichlet(np.full(K, 3.0)))
    return noisy.NoisyModel(kind, rng.normal(size=(K, D)), covariances[kind], log_weights)


def noise_of(what: str, size: float, n: int, D: int, rng: np.random.Generator) -> Any:
    """Errors of about a given variance."""
    if what == "none":
        return np.zeros((n, D))
    if what in ("diag", "one column"):
        variances = size * rng.gamma(1.0, size=(n, D))
        variances[:, 1:] *= what == "diag"
        return variances
    half = rng.normal(size=(n, D, 1 if what == "singular" else D)) * np.sqrt(size)
    return half @ half.transpose(0, 2, 1)


def case(kind: str, what: str, D: int, n: int, seed: int, size: float = 1.0, K: int = 3) -> Any:
    rng = np.random.default_rng(seed)
    model = model_of(kind, D, K, seed)
    rows = 1.5 * rng.normal(size=(n, D))
    weight = rng.gamma(1.0, size=n) * (rng.random(n) > 0.2)
    return model, rows, noise_of(what, size, n, D, rng), weight


def leaves(sums: noisy.NoisySums) -> list[Any]:
    return [np.asarray(x) for x in (sums.log_likelihood, sums.count, *sums.moments)]


def assert_same(found: noisy.NoisySums, expected: noisy.NoisySums, error: float) -> None:
    """Equal to a fraction of the largest number of each kind: entries of a matrix may cancel."""
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        assert a.shape == b.shape
        assert np.abs(a - b).max(initial=0.0) <= error * max(np.abs(b).max(initial=0.0), 1.0)


@settings(deadline=None, max_examples=150)
@given(
    kind=st.sampled_from(KINDS),
    what=st.sampled_from(NOISES),
    D=st.integers(1, 12),
    n=st.sampled_from(SIZES),
    seed=st.integers(0, 10**6),
    power=st.integers(-3, 3),
)
def test_sums_are_those_of_the_oracle(kind, what, D, n, seed, power):
    # 1e-11: singular errors 1e3 times the width cost the oracle three digits, V + C another one
    model, rows, noise, weight = case(kind, what, D, n, seed, 10.0**power)
    assert_same(
        noisy.e_step(model, rows, noise, weight),
        reference.e_step(model, rows, noise, weight),
        1e-11,
    )
    joint = noisy.log_joint(model, rows, noise)
    assert np.allclose(joint, reference.log_joint(model, rows, noise), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["diag", "full"])
@pytest.mark.parametrize("D", [20, 41])
def test_many_columns(kind, what, D):
    test_sums_are_those_of_the_oracle.hypothesis.inner_test(kind, what, D, 19, 3, 0)


def in_long_double(model: Any, rows: Any, noise: Any, weight: Any) -> Any:
    """The same sums by Gauss and Jordan in long double, with B = V T^-1 C: nothing cancels."""
    K, D = model.means.shape
    C = (noise if noise.ndim == 3 else noise[:, :, None] * np.eye(D)).astype(Wide)
    joint, steps, spares = np.empty((len(rows), K), dtype=Wide), [], []
    for k in range(K):
        V = model.covariance(k).astype(Wide)
        V = np.diag(V) if V.ndim == 1 else V
        y = (rows.astype(Wide) - model.means[k])[:, :, None]
        A = np.concatenate([V + C, np.broadcast_to(V, C.shape), y], axis=2)
        log_det = np.zeros(len(rows), dtype=Wide)
        for j in range(D):
            log_det += np.log(A[:, j, j])
            A[:, j] /= A[:, j, j, None].copy()
            for i in set(range(D)) - {j}:
                A[:, i] -= A[:, i, j, None] * A[:, j]
        gain, solved = A[:, :, D : 2 * D], A[:, :, 2 * D]
        double = (y[:, :, 0] * solved).sum(axis=1) + log_det + D * np.log(2 * Wide(np.pi))
        joint[:, k] = model.log_weights[k] - double / 2
        steps.append(solved @ V)
        spares.append(gain.transpose(0, 2, 1) @ C)
    top = joint.max(axis=1)
    norm = top + np.log(np.exp(joint - top[:, None]).sum(axis=1))
    resp = np.exp(joint - norm[:, None]) * weight[:, None]
    first = np.stack([r @ step for r, step in zip(resp.T, steps, strict=True)])
    second = [
        (step * r[:, None]).T @ step + np.tensordot(r, spare, 1)
        for r, step, spare in zip(resp.T, steps, spares, strict=True)
    ]
    return norm @ weight, resp.sum(axis=0), first, np.stack(second)


@pytest.mark.parametrize("D", [5, 9])
@pytest.mark.parametrize("what", ["diag", "full", "one column"])
@pytest.mark.parametrize("power", [-12, -8, -4, 0, 4, 8, 12])
def test_no_digit_is_lost_from_tiny_to_huge_errors(D, what, power):
    # rows are drawn from the model, so sums are of the order of count * V; 1e-11 leaves room for
    # the condition of V, 1e4 at most
    size, n = 10.0**power, 40
    model, _, noise, weight = case("full", what, D, n, 4, size, K=2)
    rng = np.random.default_rng(0)
    dense = noise if noise.ndim == 3 else noise[:, :, None] * np.eye(D)
    error, true = rng.standard_normal((2, n, D))
    sizes, axes = np.linalg.eigh(dense)
    error = np.einsum("nij,nj,nj->ni", axes, np.sqrt(np.maximum(sizes, 0.0)), error)
    rows = model.means[0] + true @ np.linalg.cholesky(model.covariances[0]).T + error
    found = noisy.e_step(model, rows, noise, weight)
    log_likelihood, count, first, second = in_long_double(model, rows, noise, weight)
    assert found.log_likelihood == pytest.approx(float(log_likelihood), rel=1e-12)
    assert np.allclose(found.count, count.astype(float), rtol=1e-10, atol=1e-11)
    scale = np.sqrt(np.diagonal(model.covariances, axis1=1, axis2=2))
    error = np.abs(found.moments.first - first) / scale
    assert error.max() < 1e-11 * weight.sum()
    error = np.abs(found.moments.second - second) / scale[:, :, None] / scale[:, None, :]
    assert error.max() < 1e-11 * weight.sum()


@pytest.mark.parametrize("D", [3, 9])
@pytest.mark.parametrize("kind", KINDS)
def test_units_of_a_column_change_no_digit(kind, D):
    model, rows, noise, weight = case(kind, "full", D, 50, 5)
    unit = np.full(D, 2.0**30)
    if kind != "spherical":
        unit[0] = 2.0**-40
    powers = {"full": np.outer(unit, unit), "tied": np.outer(unit, unit), "diag": unit**2}
    mapped = model._replace(
        means=model.means * unit, covariances=model.covariances * powers.get(kind, 2.0**60)
    )
    found = noisy.e_step(mapped, rows * unit, noise * np.outer(unit, unit), weight)
    plain = noisy.e_step(model, rows, noise, weight)
    # the volume goes through a logarithm; the rest only through powers of two and shares
    volume = weight.sum() * np.log(unit).sum()
    assert found.log_likelihood + volume == pytest.approx(plain.log_likelihood, rel=1e-12)
    assert np.allclose(found.moments.first / unit, plain.moments.first, rtol=1e-12, atol=1e-12)
    back = found.moments.second / powers.get(kind, 2.0**60)
    assert np.allclose(back, plain.moments.second, rtol=1e-12, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(KINDS),
    what=st.sampled_from(NOISES),
    D=st.sampled_from([1, 3, UNROLLED + 1]),
    cut=st.integers(0, 30),
    seed=st.integers(0, 10**6),
)
def test_parts_add_up_to_the_whole(kind, what, D, cut, seed):
    model, *arrays = case(kind, what, D, 30, seed)
    parts = [
        leaves(noisy.e_step(model, *(x[part] for x in arrays)))
        for part in (slice(0, cut), slice(cut, None))
    ]
    for a, b, c in zip(*parts, leaves(noisy.e_step(model, *arrays)), strict=True):
        assert np.allclose(a + b, c, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["diag", "full"])
@pytest.mark.parametrize("D", [4, UNROLLED + 2])
def test_a_row_of_weight_zero_is_absent_and_of_weight_two_there_twice(kind, what, D):
    model, rows, noise, _ = case(kind, what, D, 40, 8)
    times = np.random.default_rng(1).integers(0, 4, size=40)
    rows[times == 0] = 1e160
    found = noisy.e_step(model, rows, noise, times.astype(float))
    repeated = noisy.e_step(
        model, rows.repeat(times, axis=0), noise.repeat(times, axis=0), np.ones(times.sum())
    )
    for a, b in zip(leaves(found)[1:], leaves(repeated)[1:], strict=True):
        assert np.allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["diag", "full"])
@pytest.mark.parametrize("D", [2, UNROLLED + 1])
def test_far_rows_are_treated_as_the_oracle_does(kind, what, D):
    model, rows, noise, weight = case(kind, what, D, 30, 9)
    weight += 0.1
    rows[3], rows[17] = 1e5, 1e151  # one underflows under no component's logarithm, one under all
    found, expected = (m.e_step(model, rows, noise, weight) for m in (noisy, reference))
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        assert np.allclose(a, b, rtol=1e-10)
    others = np.arange(30) != 17
    near = noisy.e_step(model, rows[others], noise[others], weight[others])
    assert near.log_likelihood == pytest.approx(
        reference.e_step(model, rows[others], noise[others], weight[others]).log_likelihood,
        rel=1e-12,
    )
    joint, of_oracle = (m.log_joint(model, rows, noise) for m in (noisy, reference))
    assert np.allclose(joint, of_oracle, rtol=1e-10)
    assert (joint[17] == -1e300).all()


def test_components_of_weight_zero_get_nothing():
    model, *arrays = case("full", "full", 3, 20, 11)
    model.log_weights[1] = -np.inf
    found, expected = noisy.e_step(model, *arrays), reference.e_step(model, *arrays)
    assert_same(found, expected, 1e-12)
    assert found.count[1] == 0.0
    assert not found.moments.second[1].any()


@pytest.mark.parametrize("D", [2, UNROLLED + 1])
@pytest.mark.parametrize("place", [0, 3, 20])
def test_errors_that_are_no_covariance_are_refused(D, place):
    model, rows, noise, weight = case("full", "full", D, 21, 12)
    noise[place] = -1e3 * np.eye(D)
    for call in (
        lambda: noisy.e_step(model, rows, noise, weight + 1.0),
        lambda: noisy.log_joint(model, rows, noise),
    ):
        with pytest.raises(DataError, match=r"added to component 0.*eigenvalues from -1e\+03"):
            call()


def test_no_rows_have_no_sums():
    model, rows, noise, weight = case("tied", "diag", 3, 0, 1)
    assert not any(x.any() for x in leaves(noisy.e_step(model, rows, noise, weight)))
    assert noisy.log_joint(model, rows, noise).shape == (0, 3)


def test_numbers_of_other_types_are_widened():
    model, rows, noise, _ = case("full", "full", 4, 33, 2)
    rows, noise = rows.astype(np.float32), noise.astype(np.float32)
    times = np.random.default_rng(0).integers(0, 4, size=33)
    found = noisy.e_step(model, rows, noise, times)
    wide = (x.astype(np.float64) for x in (rows, noise, times))
    assert fingerprint(found) == fingerprint(noisy.e_step(model, *wide))


def test_arrays_need_not_be_contiguous_and_are_left_as_they_are():
    model, rows, noise, weight = case("full", "full", 4, 33, 2)
    before = fingerprint((rows, noise, weight))
    plain = noisy.e_step(model, rows, noise, weight)
    other = noisy.e_step(
        model, np.asfortranarray(rows), np.asfortranarray(noise), np.repeat(weight, 2)[::2]
    )
    assert fingerprint(plain) == fingerprint(other)
    assert fingerprint((rows, noise, weight)) == before


@pytest.mark.parametrize("D", [2, UNROLLED + 1])
def test_rows_too_far_out_are_drawn_in(D):
    model, rows, noise, weight = case("full", "full", D, 9, 2)
    rows[4], weight[4] = 1e152, 1.0
    expected = noisy.e_step(model, rows, noise, weight)
    rows[4] = np.inf
    found = noisy.e_step(model, rows, noise, weight)
    assert fingerprint(found) == fingerprint(expected)
    assert all(np.isfinite(x).all() for x in leaves(found))


def test_threads_do_not_disturb_one_another():
    """What the code reads must be held while it runs: other threads allocate meanwhile."""
    model, rows, noise, _ = case("full", "full", 3, 130, 1)
    expected = noisy.log_joint(model, rows, noise)
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(noisy.log_joint, model, rows, noise) for _ in range(400)]
        assert all(np.array_equal(job.result(), expected) for job in jobs)
