"""The sections ``run``, ``source`` and ``transform``: whose rows, and what is done to them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_serializer, model_validator
from pydantic_core import CoreSchema

from pipeline.config import convert
from pipeline.config.fields import (
    Above,
    Count,
    Flag,
    MaybeNames,
    Names,
    Options,
    RunName,
    Section,
    Text,
    as_list,
    one_or_many,
)


def _template(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            column: None if item is None else convert.text(item) for column, item in value.items()
        }
    return convert.text(value)


Template = Annotated[str | dict[str, str | None], BeforeValidator(_template)]
Sentinel = Annotated[float | str, BeforeValidator(convert.sentinel)]


class RunSection(Section):
    """Where the results go."""

    name: RunName = "{stem}"
    """Name of the run; default the stem of the file."""
    dir: Text = "runs/{name}"
    """Folder of everything that the run writes."""
    resume: Annotated[Literal["auto", "never", "require"], BeforeValidator(convert.text)] = "auto"
    """Whether an interrupted run goes on from its last checkpoint."""
    accept_not_converged: Flag = False
    """Exit 0 instead of 5 when the chosen fit stopped at max_iter."""


class NoiseSection(Section):
    """Error of each row's values: exactly one of the four forms."""

    std: Template | None = None
    """Columns of standard errors, as a template such as "{column}_error" or a map."""
    variance: Template | None = None
    """Columns, or an array such as obsm/X_qzv, of variances."""
    inverse_variance: Template | None = None
    """Columns of inverse variances; 0 means missing."""
    covariance: Template | None = None
    """Columns, as a template such as "cov_{a}_{b}", or an array of one matrix per row."""
    correlation: Text | None = None
    """Columns of correlations, as a template such as "{a}_{b}_corr"."""
    exact: MaybeNames = ()
    """Columns without an error; these must be named."""


class SourceSection(Section):
    """The rows that are read."""

    path: Names
    """A file, folder, glob, list of these, fsspec URL, or builtin:digits."""
    format: Annotated[
        Literal["auto", "parquet", "csv", "zarr", "anndata", "npy", "builtin"],
        BeforeValidator(convert.text),
    ] = "auto"
    """Format of the files; auto goes by the name."""
    key: Text | None = None
    """Array inside h5ad or zarr as a path: obsm/X_scVI, X, layers/scaled."""
    columns: Names | None = None
    """Columns that are fitted; default all numeric ones except identifiers."""
    units: dict[str, Text] = Field(default_factory=dict)
    """Unit of each column, for the report."""
    filter: Text | None = None
    """Rows that are kept: one query such as "ruwe < 1.4 or ruwe is null"."""
    id: Names | None = None
    """Columns that identify a row; they are carried into the assignments."""
    carry: MaybeNames = ()
    """Further columns that are copied to the assignments."""
    group: Text | None = None
    """Column of the well, plate, batch or field."""
    sample_weight: Text | None = None
    """Column of row weights."""
    missing_values: Annotated[
        tuple[Sentinel, ...],
        BeforeValidator(as_list),
        one_or_many({"type": ["number", "string"]}),
    ] = ()
    """Values that mean missing, besides NaN and null."""
    noise: NoiseSection | None = None
    """Error of each row's values."""
    limit: Count | None = None
    """Read only the first rows, for a trial."""
    storage_options: Options = Field(default_factory=dict)
    """Passed to fsspec; a value env:NAME is read from the environment when it is used."""


class Bare(Section):
    """A step without options."""


class ColumnsOptions(Section):
    """Options of log and rgb_to_hsv."""

    columns: Names | None = None
    """Columns the step changes; default all."""
    noise: Annotated[Literal["refuse", "delta"], BeforeValidator(convert.text)] = "refuse"
    """What becomes of source.noise: refused, or linearised at each row (the delta method)."""


class ArcsinhOptions(ColumnsOptions):
    """Options of arcsinh."""

    cofactor: Above
    """Values are divided by it first: 150 is usual for fluorescence, 5 for mass cytometry."""


class Step(Section):
    """One step of ``transform``; exactly one of its keys is set.

    Attributes
    ----------
    name : str
        ``standardize``, ``log``, ``arcsinh`` or ``pca``.
    columns : tuple of str or None
        Columns that the step is limited to; ``None`` means all.
    cofactor : float or None
        Of ``arcsinh``.
    n_components : int or None
        Of ``pca``.
    """

    standardize: Bare | None = None
    log: ColumnsOptions | None = None
    arcsinh: ArcsinhOptions | None = None
    pca: Count | None = None
    rgb_to_hsv: ColumnsOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _word_or_key(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {str(value): {}}
        if isinstance(value, dict) and len(value) == 1:
            return {word: {} if item is None else item for word, item in value.items()}
        raise ValueError("a step is one word such as standardize, or one key such as pca: 20")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Say that a step is a word, or one key with options."""
        words = ["standardize", "log", "rgb_to_hsv"]
        keyed = {**handler.resolve_ref_schema(handler(schema)), "maxProperties": 1}
        return {"anyOf": [{"enum": words}, {**keyed, "minProperties": 1}]}

    @model_serializer
    def _as_written(self) -> str | dict[str, Any]:
        given = getattr(self, self.name)
        if isinstance(given, int):
            return {self.name: given}
        options = given.model_dump(mode="json", exclude_none=True)
        if options.get("noise") == "refuse":
            del options["noise"]
        return {self.name: options} if options else self.name

    @property
    def name(self) -> str:
        """Which step this is."""
        return next(word for word in type(self).model_fields if getattr(self, word) is not None)

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Columns that the step is limited to."""
        return getattr(getattr(self, self.name), "columns", None)

    @property
    def noise(self) -> str:
        """What a step that is not linear does with the errors of its columns: refuse or delta."""
        return str(getattr(getattr(self, self.name), "noise", "refuse"))

    @property
    def cofactor(self) -> float | None:
        """Divisor of ``arcsinh``, in source units."""
        return self.arcsinh.cofactor if self.arcsinh is not None else None

    @property
    def n_components(self) -> int | None:
        """Number of principal components of ``pca``."""
        return self.pca
