"""The sections ``model`` and ``select``: which mixtures are fitted, and which one is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from pipeline.config import convert
from pipeline.config.fields import (
    Above,
    Components,
    Copies,
    Count,
    Flag,
    NotBelow,
    Section,
    Seed,
    Share,
    Text,
    as_list,
    distinct,
    one_or_list,
    one_or_many,
)

WEIGHT_LAWS = ("free", "equal", "poisson", "binomial", "hardy_weinberg", "zip")

CovarianceType = Literal["full", "tied", "diag", "spherical"]
Start = Literal["auto", "merging", "kmeans", "k-means||", "k-means++", "random", "random_from_data"]


def _start(value: object) -> str:
    word = convert.text(value)
    return "k-means||" if word == "kmeans||" else word


def _weights(value: Any) -> Any:
    if isinstance(value, list | tuple):
        weights = tuple(convert.real(0, 1)(item) for item in value)
        if abs(sum(weights) - 1) > 1e-6:
            raise ValueError(f"the weights sum to {sum(weights):g}; they must sum to 1")
        return weights
    if isinstance(value, dict):
        if len(value) != 1 or not set(value) <= set(WITH):
            listed = ", ".join(f"{{{word}: {what}}}" for word, what in EXAMPLES.items())
            raise ValueError(f"needs one key, as in {listed}")
        ((word, more),) = value.items()
        return {word: WITH[word](more)}
    word = convert.text(value)
    if word not in WEIGHT_LAWS:
        laws = ", ".join(WEIGHT_LAWS)
        raise ValueError(f"{convert.show(word)} is none of {laws}, a list, or dirichlet: a")
    return word


def _one_of(*words: str) -> Callable[[Any], str]:
    def converted(value: Any) -> str:
        word = convert.text(value)
        if word not in words:
            raise ValueError(f"{convert.show(word)} is none of {', '.join(words)}")
        return word

    return converted


EXAMPLES = {
    "dirichlet": "2",
    "poisson": "renormalised",
    "zip": "open",
    "binomial": "2",
    "hardy_weinberg": "inbreeding",
}
WITH: dict[str, Callable[[Any], Any]] = {
    "dirichlet": convert.real(1),
    "poisson": _one_of("lumped", "renormalised", "open"),
    "zip": _one_of("lumped", "renormalised", "open"),
    "binomial": convert.whole(1),
    "hardy_weinberg": _one_of("inbreeding"),
}
"""Laws with a word of their own: what it may be."""


def _component(key: str) -> str:
    if not key.isdecimal():
        raise ValueError(f"{convert.show(key)} is no component; they are numbered from 0")
    return str(int(key))


def _background(value: Any) -> Any:
    if isinstance(value, dict):
        return {column: _interval(limits) for column, limits in value.items()}
    word = convert.text(value)
    if word not in ("none", "uniform"):
        boxes = "none, uniform, or a box such as {pmra: [-20, 20]}"
        raise ValueError(f"{convert.show(word)} is none of {boxes}")
    return word


def _interval(limits: Any) -> tuple[float, float]:
    if not isinstance(limits, list | tuple) or len(limits) != 2:
        raise ValueError(f"needs two limits such as [-20, 20], got {convert.show(limits)}")
    low, high = (convert.decimal(limit) for limit in limits)
    if not low < high:
        raise ValueError(f"[{low:g}, {high:g}] is empty; the first limit must be the smaller")
    return low, high


class ModelSection(Section):
    """The words of the GaussianMixture constructor."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["n_components"]}, {"required": ["components"]}]}
    )

    n_components: Components = ()
    """Numbers of components: 8, [4, 8, 16], 2..20 or 10..60 by 5."""
    covariance_type: Annotated[
        tuple[Annotated[CovarianceType, BeforeValidator(convert.text)], ...],
        BeforeValidator(as_list),
        AfterValidator(distinct),
        PlainSerializer(one_or_list),
        one_or_many({"enum": list(get_args(CovarianceType))}),
    ] = ("full",)
    """One type or a list."""
    n_init: Count = 5
    """Restarts for each number of components and type."""
    init_params: Annotated[Start, BeforeValidator(_start)] = "auto"
    """Where a fit starts."""
    tol: NotBelow = 1e-6
    """A fit stops when its last and its estimated remaining gain per row are below this."""
    max_iter: Count = 1000
    """Most passes of one fit."""
    reg_covar: NotBelow | None = None
    """Floor of the variances; null means relative to each column's own variance."""
    covariance_prior: Flag = False
    """Maximise the posterior under the prior of Fraley and Raftery 2007, as mclust has it."""
    random_state: Seed = 0
    """Seed of all draws."""
    missing: Annotated[Literal["error", "marginalize"], BeforeValidator(convert.text)] = "error"
    """What a missing value does."""
    compute_dtype: Annotated[Literal["float64", "float32"], BeforeValidator(convert.text)] = (
        "float64"
    )
    """Precision of the E-steps of complete rows; sums and parameters are float64 always."""
    weights: Annotated[
        str | tuple[float, ...] | dict[str, int | float | str],
        BeforeValidator(_weights),
        WithJsonSchema(
            {
                "anyOf": [
                    {"enum": list(WEIGHT_LAWS)},
                    {"type": "array", "items": {"type": "number"}},
                    *({"type": "object", "required": [word]} for word in WITH),
                ]
            }
        ),
    ] = "free"
    """Law of the weights."""
    weights_by: Annotated[Literal["all", "group"], BeforeValidator(convert.text)] = "all"
    """Whether each group has weights of its own."""
    background: Annotated[
        str | dict[str, tuple[float, float]],
        BeforeValidator(_background),
        WithJsonSchema({"anyOf": [{"enum": ["none", "uniform"]}, {"type": "object"}]}),
    ] = "none"
    """A uniform component over the range of the data or over a box."""
    circular: dict[str, Above] = Field(default_factory=dict)
    """Period of each column that is an angle."""
    frozen: dict[
        Annotated[str, AfterValidator(_component)],
        tuple[
            Annotated[Literal["weight", "mean", "covariance"], BeforeValidator(convert.text)], ...
        ],
    ] = Field(default_factory=dict)
    """Parameters held at their values in start_from, by number of the component, from 0."""
    start_from: Text | None = None
    """The model.zarr of an earlier run: its components are the first ones of each fit."""
    assignment: Annotated[Literal["soft", "hard"], BeforeValidator(convert.text)] = "soft"
    """Mixture, or its hard limit: each row to its likeliest component alone."""
    components: Annotated[Literal["ddpcr"], BeforeValidator(convert.text)] | None = None
    """Components with a meaning of their own, in place of n_components."""
    copies: dict[str, Copies] | None = None
    """With components: ddpcr, the copies told apart in each column."""
    weight_tail: (
        Annotated[Literal["lumped", "renormalised", "open"], BeforeValidator(convert.text)] | None
    ) = None
    """With components: ddpcr, what happens to more copies than are told apart (lumped)."""
    linkage: Annotated[Literal["free", "none"], BeforeValidator(convert.text)] | None = None
    """With components: ddpcr, whether a third species carries both targets (free)."""


class SelectSection(Section):
    """How one candidate is chosen."""

    criterion: Annotated[
        Literal["bic", "aic", "icl", "icl_map", "held_out", "stability"],
        BeforeValidator(convert.text),
    ] = "bic"
    """What candidates are ranked by; stability compares the labels of restarts."""
    rule: Annotated[Literal["best", "one_standard_error"], BeforeValidator(convert.text)] = "best"
    """The best candidate, or the smallest within one standard error of it."""
    held_out: Share = 0.1
    """Share of the rows kept apart when the criterion is held_out."""
