"""The sections ``checkpoint``, ``cluster``, ``output``, ``sample``, ``report``, ``diagnose``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from pipeline.config import convert
from pipeline.config.fields import (
    Above,
    Cadence,
    Count,
    Every,
    Flag,
    MaybeNames,
    Memory,
    Nanolitres,
    Options,
    Seconds,
    Section,
    Share,
    Text,
    as_list,
    distinct,
    one_or_many,
)

OutputColumn = Literal[
    "label",
    "probability",
    "log_density",
    "entropy",
    "margin",
    "second_label",
    "ambiguous",
    "outlier",
    "responsibilities",
    "deconvolved_mean",
    "imputed",
]


def _pair(value: Any) -> Any:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"needs two columns such as [pmra, pmdec], got {convert.show(value)}")
    return value


_PATH_SCHEMA = WithJsonSchema({"type": ["string", "null"]})


def _path(default: str) -> BeforeValidator:
    return BeforeValidator(lambda value: default if value is None else convert.text(value))


class CheckpointSection(Section):
    """How often the state of the fits is saved."""

    every: Cadence = Every(60.0, None)
    """A time such as 60s, or "10 passes"."""
    keep: Count = 3
    """Checkpoints that are kept."""
    path: Annotated[str, _path("{dir}/checkpoints"), _PATH_SCHEMA] = "{dir}/checkpoints"
    """Folder of the checkpoints; elsewhere when a workflow engine deletes run.dir."""


class SecuritySection(Section):
    """Files of the encrypted connection to a scheduler."""

    ca: Text
    """File of the authority's certificate."""
    cert: Text
    """File of this side's certificate."""
    key: Text
    """File of this side's key."""


class ClusterSection(Section):
    """Where the passes run."""

    type: Annotated[
        Literal["local", "address", "slurm", "pbs", "lsf", "kubernetes", "gateway"],
        BeforeValidator(convert.text),
    ] = "local"
    """A cluster of this machine, or an existing scheduler."""
    address: Text | None = None
    """Scheduler such as tls://host:8786."""
    scheduler_file: Text | None = None
    """File that the scheduler wrote, in place of the address."""
    n_workers: Count | None = None
    """Number of workers; local: by default as many as the cores."""
    threads_per_worker: Count | None = None
    """Threads of each worker."""
    memory_limit: Memory = "auto"
    """Memory of each worker."""
    wait_for_workers: Count = 1
    """The run starts when so many workers are there."""
    timeout: Seconds = 300.0
    """Longest wait for the workers; then exit 4."""
    cache: Annotated[
        Literal["auto", "memory", "spool", "stream"], BeforeValidator(convert.text)
    ] = "auto"
    """Whether rows stay in memory, in a scratch zarr, or are read in every pass."""
    security: SecuritySection | None = None
    """Files of the encrypted connection."""
    allow_insecure: Flag = False
    """Allow an unencrypted connection to another machine."""
    options: Options = Field(default_factory=dict)
    """Passed to the cluster class as they are."""


class WriteBack(Section):
    """Names under which labels are written into the AnnData or zarr source."""

    obs: Text | None = None
    """Name of the categorical, and stem of the others."""
    obsm: Text | None = None
    """Name of the responsibilities."""
    in_place: Flag = False
    """Change the source itself instead of a copy."""


class OutputSection(Section):
    """What is written for each row."""

    columns: Annotated[
        tuple[Annotated[OutputColumn, BeforeValidator(convert.text)], ...],
        BeforeValidator(as_list),
        AfterValidator(distinct),
        one_or_many({"enum": list(get_args(OutputColumn))}),
    ] = ("label", "probability", "log_density")
    """Columns of the assignments, after the row's identity."""
    format: Annotated[Literal["parquet", "zarr", "csv"], BeforeValidator(convert.text)] = "parquet"
    """Format of the assignments."""
    path: Annotated[str, _path("{dir}/assignments"), _PATH_SCHEMA] = "{dir}/assignments"
    """Folder of the assignments."""
    write_back: WriteBack | None = None
    """Also write into the AnnData or zarr source."""


class SampleSection(Section):
    """New rows drawn from the chosen mixture."""

    rows: Count = 100
    """Number of rows."""
    decode: Text | None = None
    """Function module:function that turns latent rows (n, D) into what they stand for."""
    decoders: MaybeNames = ()
    """Functions that may be called; decode must be among them."""
    path: Annotated[str, _path("{dir}/sample"), _PATH_SCHEMA] = "{dir}/sample"
    """Folder of the rows, and of what they decode to."""


class ReportSection(Section):
    """The HTML report."""

    title: Text | None = None
    """Title; default the name of the run."""
    features: tuple[Annotated[tuple[Text, Text], BeforeValidator(_pair)], ...] | None = None
    """Pairs of columns that are drawn; default the leading ones."""
    colour_by: MaybeNames = ()
    """Columns by which the components are broken down."""
    path: Annotated[str, _path("{dir}/report.html"), _PATH_SCHEMA] = "{dir}/report.html"
    """The report's file."""


class ConcentrationSection(Section):
    """Copies per microlitre from droplets."""

    partition_volume: Nanolitres
    """Volume of a droplet such as 0.91 nL; there is no default."""
    dilution: Above = 1.0
    """How often the sample was diluted."""


class DiagnoseSection(Section):
    """What the fit means; one further pass."""

    standard_errors: Flag = True
    """Standard errors and intervals of the parameters."""
    overlap: Flag = True
    """Which components can be told apart."""
    tails: Flag = True
    """Whether the Gaussian shape holds in the tails."""
    ambiguous: Share = 0.9
    """A row is ambiguous when its largest probability is below this."""
    concentration: ConcentrationSection | None = None
    """Concentrations, for droplets."""
