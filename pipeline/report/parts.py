"""What a report is told about the run, its rows, its candidates and its components."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the source.

    Parameters
    ----------
    name : str
    unit : str
        Empty when there is none or none is known.
    """

    name: str
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """Rows left out before the fit, and why, in words ("filter: ruwe < 1.4")."""

    reason: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """A file or folder that the run wrote.

    Parameters
    ----------
    name : str
        What it is: "model", "assignments".
    path : str
    note : str
        Further words: "2,302 rows, joined by source_id".
    sha256 : str
    """

    name: str
    path: str
    note: str = ""
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Run:
    """The run itself.

    Parameters
    ----------
    name, title : str
        The title is what the user wrote, or empty.
    command : str
        The command line that made the fit.
    version : str
        Of gmm-dask.
    started, finished : str
        Date and time, ISO 8601.
    seconds : float
        Wall-clock time.
    exit_code : int
        0 finished, 5 finished without convergence, other: see `exit_reason`.
    exit_reason : str
        "finished", "not converged", ...
    passes, workers, retries, lost_workers : int
    config : str
        The resolved configuration, secrets removed.
    fingerprint : str
        Of the data.
    rows_in, rows_fitted, rows_written : int
    dropped : tuple of Dropped
    files : tuple of OutputFile
    """

    name: str
    title: str = ""
    command: str
    version: str
    started: str
    finished: str
    seconds: float
    exit_code: int
    exit_reason: str
    passes: int
    workers: int
    retries: int = 0
    lost_workers: int = 0
    config: str
    fingerprint: str
    rows_in: int
    rows_fitted: int
    rows_written: int
    dropped: tuple[Dropped, ...] = ()
    files: tuple[OutputFile, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RowFact:
    """A fact about the rows: a word, its value, and what explains it."""

    word: str
    value: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class SourceFacts:
    """Where the rows come from.

    Parameters
    ----------
    name : str
        File or folder as a reader knows it.
    columns : tuple of Column
        In the order of every per-column number of the report.
    transforms : tuple of str
        One phrase per step: "principal components (10 of 64)".
    density_note : str
        A sentence where log densities are not per unit of the source columns.
    rows : tuple of RowFact
        What the rows lack, how large their errors are, what they weigh.
    n_derived : int
        How many of `columns`, at the end, are principal components of the others.
    """

    name: str
    columns: tuple[Column, ...]
    transforms: tuple[str, ...] = ()
    density_note: str = ""
    rows: tuple[RowFact, ...] = ()
    n_derived: int = 0


@dataclass(frozen=True, kw_only=True)
class RestartRow:
    """How one restart ended.

    Parameters
    ----------
    number : int
    init : str
    lower_bound : float
        Log-likelihood per row of its last E-step.
    n_iter : int
    outcome : str
        CONVERGED, MAX_ITER, DROPPED, DEGENERATE, ...
    problems : tuple of str
        Sentences about degenerate components.
    fate : str
        When and why it was dropped, in words.
    behind : float
        By how much it was behind the leader then, per row; nan where it was not dropped.
    """

    number: int
    init: str
    lower_bound: float
    n_iter: int
    outcome: str
    problems: tuple[str, ...] = ()
    fate: str = ""
    behind: float = math.nan


@dataclass(frozen=True, kw_only=True, eq=False)  # arrays have no single truth
class CandidateRow:
    """One number of components and covariance type: its best restart and all others in short.

    Parameters
    ----------
    n_components : int
    covariance_type : str
        full, tied, diag or spherical.
    log_likelihood_per_row : float
        Over the training rows, natural log.
    n_rows : float
        Training rows (or their total weight).
    n_parameters : int
    bic, aic, icl : float
        Smaller is better; `icl` with the soft entropy.
    icl_map : float
        ICL with hard labels, as mclust has it (there with the other sign); nan in results stored
        by earlier versions.
    held_out, held_out_error : float
        Log density per held-out row and its standard error; nan where nothing was held out.
    stability, stability_neighbours : float
        Mean adjusted Rand index of the labels of the best restart with its other restarts, and
        with the best of the next smaller and larger K of its type; nan where not compared.
    restarts_compared : int
        Other restarts in `stability`.
    starts_agree, n_init : int
        Restarts that reached the optimum of the best one, and all restarts.
    n_iter : int
        Of the best restart.
    converged : bool
    ranked : bool
        False where every restart is degenerate: shown, never chosen.
    note : str
        "chosen: one standard error", "two components overlap", or empty.
    restarts : tuple of RestartRow
        The best first.
    trace : array of shape (n_passes,)
        Log-likelihood per row after each pass of the best restart.
    """

    n_components: int
    covariance_type: str
    log_likelihood_per_row: float
    n_rows: float
    n_parameters: int
    bic: float
    aic: float
    icl: float
    icl_map: float = math.nan
    held_out: float = math.nan
    held_out_error: float = math.nan
    stability: float = math.nan
    stability_neighbours: float = math.nan
    restarts_compared: int = 0
    starts_agree: int
    n_init: int
    n_iter: int
    converged: bool
    ranked: bool = True
    note: str = ""
    restarts: tuple[RestartRow, ...] = ()
    trace: Array

    @property
    def log_likelihood(self) -> float:
        """Sum over the training rows."""
        return self.log_likelihood_per_row * self.n_rows


@dataclass(frozen=True, kw_only=True, eq=False)  # arrays have no single truth
class ComponentRow:
    """One component of the chosen mixture, in source units.

    Parameters
    ----------
    number : int
        The label in the assignments; fixes its colour.
    weight : float
    rows : int
        Rows with this label.
    mean, std : array of shape (n_columns,)
        In source units, per column of `SourceFacts.columns`.
    probability : float
        Mean largest responsibility of its rows; nan without rows.
    entropy : float
        Mean entropy of the responsibilities of its rows, in nats.
    partner : int or None
        Number of the component it overlaps most with.
    overlap : float
        Bhattacharyya coefficient with the partner, 0 to 1.
    name : str
        "background" for a uniform one, whose mean and std are those of its box; else empty.
    """

    number: int
    weight: float
    rows: int
    mean: Array
    std: Array
    probability: float = math.nan
    entropy: float = math.nan
    partner: int | None = None
    overlap: float = math.nan
    name: str = ""
