"""Whether what was read from a file is a mixture that can be used: shapes, numbers, definiteness.

Checksums tell damage; this tells what was never right, or was changed and signed again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gmm_dask.blocks import FloatArray, Frame
from gmm_dask.errors import ConfigError, DataError, FormatError
from gmm_dask.families.background import WithBackground
from gmm_dask.families.floors import RelativeFloor, Ridge
from gmm_dask.families.gaussian import Gaussian, GaussianParams
from gmm_dask.families.held import HeldGaussian, check_held
from gmm_dask.families.product import Product, ProductParams
from gmm_dask.families.von_mises import VonMises
from gmm_dask.kernels.types import second_shape
from gmm_dask.laws.named import LAWS
from gmm_dask.mixture import Mixture

SYMMETRY = 1e-8
"""Of the geometric mean of two variances: covariances differ from their transpose by less."""


def check_mixture(value: Any, path: Any) -> Mixture:
    """Return a decoded mixture after checking that it is one.

    Parameters
    ----------
    value : any
        What a file gave.
    path : any
        The file, for messages.

    Raises
    ------
    FormatError
        Wrong types or shapes, numbers that are not finite, weights that do not sum to one,
        covariances that are not symmetric and positive definite, a frame or floor without size.
    """
    if not isinstance(value, Mixture):
        raise FormatError(f"{path}: a {type(value).__name__} is stored where a mixture is needed")
    wrong = _wrong(value)
    if wrong:
        raise FormatError(f"{path}: the stored mixture is damaged: {wrong}")
    try:
        value.family.validate(value.params)
        _check_constraints(value)
    except (DataError, ConfigError, TypeError) as error:
        raise FormatError(f"{path}: the stored mixture is damaged: {error}") from None
    return value


def _check_constraints(mixture: Mixture) -> None:
    """Raise an error unless what is held is of components that there are."""
    if isinstance(mixture.family, HeldGaussian):
        kind = mixture.family.covariance_type
        check_held(mixture.family.held, mixture.n_components, kind)


def check_mixtures(value: Any, path: Any) -> None:
    """Check every mixture inside a decoded value; see `check_mixture`."""
    for mixture in mixtures_in(value):
        check_mixture(mixture, path)


def mixtures_in(value: Any) -> Iterator[Mixture]:
    """Yield every mixture in a tree of dataclasses, tuples and dicts."""
    if isinstance(value, Mixture):
        yield value
    elif isinstance(value, dict):
        yield from mixtures_in(tuple(value.values()))
    elif isinstance(value, tuple):
        for item in value:
            yield from mixtures_in(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from mixtures_in(getattr(value, field.name))


def _wrong(mixture: Mixture) -> str:
    """Return what is wrong with a mixture, "" where nothing is; families inside others in turn."""
    family = mixture.family
    if type(family) is WithBackground:
        return _wrong_background(mixture, family) or _wrong(
            replace(mixture, family=family.inner, weights=_without_last(mixture.weights))
        )
    if type(family) is Product:
        return _wrong_product(mixture, family) or _wrong_lines(mixture, family)
    return _wrong_types(mixture) or _wrong_shapes(mixture) or _wrong_numbers(mixture)


def _without_last(weights: FloatArray) -> FloatArray:
    """Return weights without those of a background, their sum one again."""
    rest = weights[:, :-1]
    total = rest.sum(axis=1, keepdims=True)
    return rest / np.where(total > 0, total, 1.0) if (total > 0).all() else rest


def _wrong_background(mixture: Mixture, family: WithBackground) -> str:
    box = (family.lowest, family.highest)
    if type(family.inner) not in (Gaussian, Product) or type(family.frame) is not Frame:
        return "its parts are not those of a mixture"
    weights = mixture.weights
    if not all(map(_is_real, (*box, weights))) or weights.ndim != 2 or not weights.shape[1]:
        return "its box or its weights are not arrays of float64"
    if box[0].shape != box[1].shape or not np.isfinite(box).all() or not (box[0] < box[1]).all():
        return "the box of its background is empty"
    if not (weights >= 0).all() or not np.allclose(weights.sum(axis=1), 1.0, atol=1e-9):
        return "weights are negative, or do not sum to one"
    D = len(box[0])
    means: Any = getattr(mixture.params, "means", ())
    shapes = (np.shape(means), np.shape(family.frame.shift), np.shape(family.frame.scale))
    if shapes != ((weights.shape[1] - 1, D), (D,), (D,)):
        return f"its box has {D} sides, and means have shape {np.shape(means)}"
    return ""


def _wrong_product(mixture: Mixture, family: Product) -> str:
    held = (family.gaussian, family.von_mises, mixture.params, mixture.frame)
    if tuple(map(type, held)) != (Gaussian, VonMises, ProductParams, Frame):
        return "its parts are not those of a mixture"
    params, angles, vm = mixture.params, family.angles, family.von_mises
    assert isinstance(params, ProductParams)
    arrays = (params.means, params.kappa, vm.periods, vm.least, vm.added, mixture.weights)
    if not all(map(_is_real, arrays)) or not isinstance(angles, np.ndarray):
        return "its angles are not arrays of float64"
    if angles.dtype.kind != "i" or angles.ndim != 1 or params.means.ndim != 2:
        return "the positions of its angles are not whole numbers"
    (K, D), C = params.means.shape, len(angles)
    placed = C and angles[0] >= 0 and angles[-1] < D and (np.diff(angles) > 0).all()
    if not placed or family.n_columns != D or params.kappa.shape != (K, C):
        return f"means have shape {params.means.shape}, concentrations {params.kappa.shape}"
    if any(part.shape != (C,) or not np.isfinite(part).all() for part in arrays[2:5]):
        return "periods or floors of its angles are not finite numbers"
    if not (vm.periods > 0).all() or not (vm.least > 0).all() or not (vm.added >= 0).all():
        return "periods or floors of its angles are not positive"
    return ""


def _wrong_lines(mixture: Mixture, family: Product) -> str:
    """Return what is wrong with the Gaussian columns."""
    frame, params, D = mixture.frame, mixture.params, family.n_columns
    of_frame = (frame.shift, frame.scale, frame.centre)
    if any(not _is_real(part) or part.shape != (D,) for part in of_frame):
        return f"its frame is not one of {D} columns"
    if not _is_real(frame.scatter) or frame.scatter.shape != (D, D):
        return f"its frame is not one of {D} columns"
    if not np.isfinite(of_frame).all() or not (frame.scale > 0).all():
        return "scale is not positive"
    if mixture.weights.shape != (max(len(mixture.weights), 1), len(params.means)):
        return f"weights have shape {mixture.weights.shape}, means {params.means.shape}"
    if not len(family.lines):
        total = mixture.weights.sum(axis=1)
        return "" if np.allclose(total, 1.0, atol=1e-9) else "weights do not sum to one"
    lines = replace(
        mixture,
        family=family.gaussian,
        params=family.of_lines(params),  # type: ignore[arg-type]
        frame=family.frame_of_lines(frame),
    )
    return _wrong(lines)


def _wrong_types(mixture: Mixture) -> str:
    if not isinstance(mixture.law, LAWS):
        return "its weights have no law"
    held = (mixture.family, mixture.params, mixture.frame)
    family, *others = map(type, held)
    if family not in (Gaussian, HeldGaussian) or others != [GaussianParams, Frame]:
        return "its parts are not those of a mixture"
    floor = mixture.family.floor
    if not isinstance(floor, RelativeFloor | Ridge):
        return "it has no floor"
    if isinstance(floor, RelativeFloor) and not _is_share(floor.fraction):
        return f"the floor is {floor.fraction!r:.60} of the variance"
    wrong = [name for name, array in _arrays(mixture).items() if not _is_real(array)]
    return f"{wrong[0]} is not an array of float64" if wrong else ""


def _is_share(fraction: Any) -> bool:
    return isinstance(fraction, float) and 0 <= fraction < 1


def _is_real(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.dtype == np.float64


def _arrays(mixture: Mixture) -> dict[str, FloatArray]:
    params, frame, floor = mixture.params, mixture.frame, mixture.family.floor
    found = {
        "weights": mixture.weights,
        "means": params.means,
        "covariances": params.covariances,
        "shift": frame.shift,
        "scale": frame.scale,
        "scatter": frame.scatter,
        "centre": frame.centre,
        "variance": floor.variance,
    }
    if mixture.group_share is not None:
        found["group_share"] = mixture.group_share
    return found | ({"added": floor.added} if isinstance(floor, Ridge) else {})


def _wrong_shapes(mixture: Mixture) -> str:
    means = mixture.params.means
    if means.ndim != 2 or 0 in means.shape or mixture.weights.ndim != 2:
        return f"means have shape {means.shape}, weights {mixture.weights.shape}"
    K, D = means.shape
    expected: dict[str, tuple[int, ...]] = {
        "weights": (max(len(mixture.weights), 1), K),
        "group_share": (len(mixture.weights),),
        "means": (K, D),
        "covariances": second_shape(mixture.family.covariance_type, K, D),
        **dict.fromkeys(("shift", "scale", "centre", "variance", "added"), (D,)),
        "scatter": (D, D),
    }
    for name, array in _arrays(mixture).items():
        if array.shape != expected[name]:
            return f"{name} has shape {array.shape}; {expected[name]} is needed"
    return ""


def _wrong_numbers(mixture: Mixture) -> str:
    arrays = _arrays(mixture)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            return f"{name} holds numbers that are not finite"
    for name in ("scale", "variance"):
        if not (arrays[name] > 0).all():
            return f"{name} is not positive"
    if "added" in arrays and not (arrays["added"] >= 0).all():
        return "what is added to variances is negative"
    if wrong := _wrong_weights(mixture):
        return wrong
    if mixture.family.covariance_type in ("full", "tied"):
        return _wrong_symmetry(mixture.params.covariances)
    return ""


def _wrong_weights(mixture: Mixture) -> str:
    weights, share = mixture.weights, mixture.group_share
    try:
        mixture.law.n_free(mixture.n_components)
        total = mixture.law.project(weights).sum(axis=1)  # one, but for laws with more beyond
    except ConfigError as error:
        return str(error)
    if not (weights >= 0).all() or not np.allclose(weights.sum(axis=1), total, atol=1e-9):
        return "weights are negative, or do not sum to one"
    if share is not None and not ((share >= 0).all() and abs(share.sum() - 1) < 1e-9):
        return "the groups' shares of the rows are negative, or do not sum to one"
    return ""


def _wrong_symmetry(covariances: FloatArray) -> str:
    root = np.sqrt(np.abs(np.diagonal(covariances, axis1=-2, axis2=-1)))
    allowed = SYMMETRY * root[..., :, None] * root[..., None, :]
    apart = np.abs(covariances - np.swapaxes(covariances, -1, -2))
    return "" if (apart <= allowed).all() else "a covariance is not symmetric"
