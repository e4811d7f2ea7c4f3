"""Constructor words about angles and a background, and what does not go with them."""

from __future__ import annotations

from typing import Any

from gmm_dask.angled import Shape, shape_of
from gmm_dask.blocks import FloatArray, RowLayout
from gmm_dask.errors import ConfigError
from gmm_dask.families.background import WithBackground
from gmm_dask.families.product import Product, ProductParams
from gmm_dask.mixture import Mixture, lines_of

BOX = "box"
"""Stands in a model file for the limits that the mixture has."""


def shape_for(
    model: Any,
    names: tuple[str, ...],
    n_columns: int,
    start: dict[str, FloatArray],
    layout: RowLayout,
) -> Shape:
    """Return the shape that an estimator's words ask for.

    Parameters
    ----------
    model : GaussianMixture
    names : tuple of str
        Of the columns, empty where they have none.
    n_columns : int
    start : dict
        Parameters given to begin with.
    layout : RowLayout
        How rows are to be taken.

    Raises
    ------
    ConfigError
        A word is wrong, or does not go with another.
    """
    shape = shape_of(model.circular, model.background, names, n_columns)
    check_shape(shape, layout)
    refused = {
        "warm_start": model.warm_start and bool(start),
        "weights_init": model.background not in (None, "none") and "weights" in start,
        "precisions_init": shape.circular and "covariances" in start,
    }
    wrong = [name for name, is_given in refused.items() if is_given]
    if not shape.plain and wrong:
        raise ConfigError(
            f"{wrong[0]} does not go with circular or background; leave it out: fits with angles "
            "or a background begin with means_init, or a start"
        )
    return shape


def check_shape(shape: Shape, layout: RowLayout) -> None:
    """Raise ConfigError where passes cannot compute as the layout says."""
    if not shape.plain and layout.compute_dtype == "float32":
        raise ConfigError(
            "compute_dtype is float32, which is for Gaussians alone; with circular or background "
            "leave it at float64"
        )


def compound_words(shape: Shape) -> dict[str, Any]:
    """Return the constructor words of a shape, columns by position."""
    words: dict[str, Any] = {}
    if shape.circular:
        words["circular"] = dict(shape.circular)
    if shape.background is not None:
        sides = {column: (low, high) for column, low, high in shape.background.sides}
        words["background"] = sides or "uniform"
    return words


def compound_stored(model: Any) -> dict[str, str]:
    """Return what a model file keeps of the words; the mixture itself says the rest."""
    if model.background is None:
        return {}
    return {"background": model.background if isinstance(model.background, str) else BOX}


def compound_restored(
    mixture: Mixture, words: dict[str, Any], names: tuple[str, ...] | None
) -> dict[str, Any]:
    """Return the words of a stored mixture; columns by name where they have names."""
    known: tuple[Any, ...] = names or tuple(range(mixture.n_columns))
    family, found = mixture.family, {"circular": None, "background": words.get("background")}
    if isinstance(family, WithBackground) and found["background"] == BOX:
        sides = zip(family.lowest.tolist(), family.highest.tolist(), strict=True)
        box = dict(zip(known, sides, strict=True))
        found["background"] = {known[j]: box[known[j]] for j in lines_of(family, len(known))}
    inner = family.inner if isinstance(family, WithBackground) else family
    if isinstance(inner, Product):
        periods = inner.von_mises.periods.tolist()
        found["circular"] = {known[j]: p for j, p in zip(inner.angles, periods, strict=True)}
    return found


def set_kappa(model: Any, mixture: Mixture) -> None:
    """Give an estimator the concentrations of its angles, ``kappa_`` (K, C), where it has some."""
    model.__dict__.pop("kappa_", None)
    if isinstance(mixture.params, ProductParams):
        model.kappa_ = mixture.params.kappa


def refuse_expected(mixture: Mixture, word: str, *, drawn: bool = False) -> None:
    """Raise ConfigError where a mixture has no expected values on the line, or no draws of them."""
    if isinstance(mixture.params, ProductParams):
        raise ConfigError(
            f"{word} needs expected values, which angles (circular) do not have on the line; fit "
            "without them"
        )
    if drawn and mixture.family.compound:
        raise ConfigError(
            f"{word} with n_draws draws from Gaussians; under a background take return_std or "
            "return_cov, or fit without it"
        )


def refuse_sklearn(mixture: Mixture) -> None:
    """Raise ConfigError where scikit-learn has no such mixture."""
    if mixture.family.compound:
        raise ConfigError(
            "scikit-learn's GaussianMixture has neither angles nor a background; fit without "
            "circular and background to have one"
        )
