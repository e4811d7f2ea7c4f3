"""Gaussian mixtures for data that do not fit one machine.

`GaussianMixture` is the scikit-learn face; `fit_many` runs a whole grid in shared passes. The other
names are the parts of which pipelines are made: sources, engines, folds and results.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gmm_dask.version import __version__

if TYPE_CHECKING:
    from gmm_dask.blocks import ArraySource, Block, Frame, Observed, RowLayout, Source
    from gmm_dask.cost import COST_MODEL, machine_factor, pass_seconds
    from gmm_dask.diagnostics.boundaries import (
        Boundary,
        boundary,
        regions,
    )
    from gmm_dask.diagnostics.drift import (
        Drift,
        Margins,
        drift,
        drift_from,
    )
    from gmm_dask.diagnostics.equal_weights import WeightComparison, compare_weights
    from gmm_dask.diagnostics.fence import (
        Ambiguity,
        ambiguity,
        ambiguity_from,
        rows_on_the_fence,
    )
    from gmm_dask.diagnostics.goodness import (
        Goodness,
        goodness_fold,
        goodness_from,
        goodness_of_fit,
    )
    from gmm_dask.diagnostics.groups import (
        GroupTest,
        one_group_or_two,
    )
    from gmm_dask.diagnostics.levels import (
        density_levels,
    )
    from gmm_dask.diagnostics.merging import merge_components
    from gmm_dask.diagnostics.modes import (
        ModeCount,
        count_modes,
    )
    from gmm_dask.diagnostics.overlap import bhattacharyya
    from gmm_dask.diagnostics.pair_information import fisher_information
    from gmm_dask.diagnostics.profile import (
        Profile,
        own_profile,
        profile,
        profile_fold,
        profiles_from,
    )
    from gmm_dask.diagnostics.resolvability import (
        Resolvability,
        merging_fold,
        resolvability,
        resolvability_from,
    )
    from gmm_dask.diagnostics.standard_errors import (
        WHAT_A_WEIGHT_IS,
        StandardErrors,
        check_question,
        errors_from,
        standard_errors,
    )
    from gmm_dask.diagnostics.tails import (
        BitErrors,
        bit_errors,
    )
    from gmm_dask.diagnostics.trait import (
        ErrorVariance,
        TypeOrTrait,
        error_variance,
        type_or_trait,
    )
    from gmm_dask.drive import Interrupted, PassDone
    from gmm_dask.engine.base import Engine, PassRecord
    from gmm_dask.engine.dask_engine import DaskEngine
    from gmm_dask.engine.dask_workers import check_workers
    from gmm_dask.engine.local import LocalEngine
    from gmm_dask.engine.memory import Projection, human_bytes, project
    from gmm_dask.engine.plan import Plan, plan_for
    from gmm_dask.errors import (
        CheckpointError,
        ClusterError,
        ConfigError,
        DataError,
        DataWarning,
        DeadlineError,
        DegenerateWarning,
        FormatError,
        GmmDaskError,
        PlanError,
        PlatformWarning,
        ResourceError,
        SourceChangedError,
        StoreError,
    )
    from gmm_dask.estimator.gaussian_mixture import GaussianMixture
    from gmm_dask.estimator.outputs import as_table
    from gmm_dask.first_pass import find_frame
    from gmm_dask.fit_many import FitMany, fit_many
    from gmm_dask.fits.stopping import passes_left
    from gmm_dask.folds.certainty import (
        Certainty,
    )
    from gmm_dask.folds.columns import ColumnStats
    from gmm_dask.folds.information import Information
    from gmm_dask.folds.rows import RowShare
    from gmm_dask.folds.sample import Sample
    from gmm_dask.machine import machine_facts
    from gmm_dask.many import GridResult, run_grid
    from gmm_dask.mixture import Mixture
    from gmm_dask.observed import Observer
    from gmm_dask.projections import unproject
    from gmm_dask.rows import RowFunction, check_rows, posterior_rows
    from gmm_dask.search import Grid, pass_fold
    from gmm_dask.selection import Candidate
    from gmm_dask.state import CheckpointSettings, Resumed
    from gmm_dask.stats import Batch, Fold, batch
    from gmm_dask.store.heartbeat import read_beat
    from gmm_dask.store.lock import RunLock
    from gmm_dask.store.owner import is_alive
    from gmm_dask.store.spool import spool
    from gmm_dask.store.zarr_source import ZarrSource


# Names are imported when they are first asked for: a worker that measures blocks needs neither
# scikit-learn nor pandas, and starts in half the time without them.
_HOMES = {
    "gmm_dask.diagnostics.trait": (
        "ErrorVariance",
        "TypeOrTrait",
        "error_variance",
        "type_or_trait",
    ),
    "gmm_dask.diagnostics.modes": (
        "ModeCount",
        "count_modes",
    ),
    "gmm_dask.diagnostics.groups": (
        "GroupTest",
        "one_group_or_two",
    ),
    "gmm_dask.folds.certainty": ("Certainty",),
    "gmm_dask.diagnostics.tails": (
        "BitErrors",
        "bit_errors",
    ),
    "gmm_dask.diagnostics.profile": (
        "Profile",
        "own_profile",
        "profile",
        "profile_fold",
        "profiles_from",
    ),
    "gmm_dask.diagnostics.levels": ("density_levels",),
    "gmm_dask.diagnostics.goodness": (
        "Goodness",
        "goodness_fold",
        "goodness_from",
        "goodness_of_fit",
    ),
    "gmm_dask.diagnostics.fence": (
        "Ambiguity",
        "ambiguity",
        "ambiguity_from",
        "rows_on_the_fence",
    ),
    "gmm_dask.diagnostics.drift": (
        "Drift",
        "Margins",
        "drift",
        "drift_from",
    ),
    "gmm_dask.diagnostics.boundaries": (
        "Boundary",
        "boundary",
        "regions",
    ),
    "gmm_dask.blocks": (
        "ArraySource",
        "Block",
        "Frame",
        "Observed",
        "RowLayout",
        "Source",
    ),
    "gmm_dask.cost": (
        "COST_MODEL",
        "machine_factor",
        "pass_seconds",
    ),
    "gmm_dask.diagnostics.equal_weights": ("WeightComparison", "compare_weights"),
    "gmm_dask.diagnostics.merging": ("merge_components",),
    "gmm_dask.diagnostics.overlap": ("bhattacharyya",),
    "gmm_dask.diagnostics.pair_information": ("fisher_information",),
    "gmm_dask.diagnostics.resolvability": (
        "merging_fold",
        "Resolvability",
        "resolvability",
        "resolvability_from",
    ),
    "gmm_dask.diagnostics.standard_errors": (
        "check_question",
        "WHAT_A_WEIGHT_IS",
        "StandardErrors",
        "errors_from",
        "standard_errors",
    ),
    "gmm_dask.drive": (
        "Interrupted",
        "PassDone",
    ),
    "gmm_dask.engine.base": (
        "Engine",
        "PassRecord",
    ),
    "gmm_dask.engine.dask_engine": ("DaskEngine",),
    "gmm_dask.engine.dask_workers": ("check_workers",),
    "gmm_dask.engine.local": ("LocalEngine",),
    "gmm_dask.engine.memory": (
        "Projection",
        "human_bytes",
        "project",
    ),
    "gmm_dask.engine.plan": (
        "Plan",
        "plan_for",
    ),
    "gmm_dask.errors": (
        "CheckpointError",
        "ClusterError",
        "ConfigError",
        "DataError",
        "DataWarning",
        "DeadlineError",
        "DegenerateWarning",
        "FormatError",
        "GmmDaskError",
        "PlanError",
        "PlatformWarning",
        "ResourceError",
        "SourceChangedError",
        "StoreError",
    ),
    "gmm_dask.estimator.gaussian_mixture": ("GaussianMixture",),
    "gmm_dask.estimator.outputs": ("as_table",),
    "gmm_dask.first_pass": ("find_frame",),
    "gmm_dask.fit_many": (
        "FitMany",
        "fit_many",
    ),
    "gmm_dask.fits.stopping": ("passes_left",),
    "gmm_dask.folds.columns": ("ColumnStats",),
    "gmm_dask.folds.information": ("Information",),
    "gmm_dask.folds.rows": ("RowShare",),
    "gmm_dask.folds.sample": ("Sample",),
    "gmm_dask.machine": ("machine_facts",),
    "gmm_dask.many": (
        "GridResult",
        "run_grid",
    ),
    "gmm_dask.mixture": ("Mixture",),
    "gmm_dask.observed": ("Observer",),
    "gmm_dask.projections": ("unproject",),
    "gmm_dask.rows": (
        "RowFunction",
        "check_rows",
        "posterior_rows",
    ),
    "gmm_dask.search": (
        "Grid",
        "pass_fold",
    ),
    "gmm_dask.selection": ("Candidate",),
    "gmm_dask.state": (
        "CheckpointSettings",
        "Resumed",
    ),
    "gmm_dask.stats": (
        "Batch",
        "Fold",
        "batch",
    ),
    "gmm_dask.store.heartbeat": ("read_beat",),
    "gmm_dask.store.lock": ("RunLock",),
    "gmm_dask.store.owner": ("is_alive",),
    "gmm_dask.store.spool": ("spool",),
    "gmm_dask.store.zarr_source": ("ZarrSource",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "COST_MODEL",
    "WHAT_A_WEIGHT_IS",
    "Ambiguity",
    "ArraySource",
    "Batch",
    "BitErrors",
    "Block",
    "Boundary",
    "Candidate",
    "Certainty",
    "CheckpointError",
    "CheckpointSettings",
    "ClusterError",
    "ColumnStats",
    "ConfigError",
    "DaskEngine",
    "DataError",
    "DataWarning",
    "DeadlineError",
    "DegenerateWarning",
    "Drift",
    "Engine",
    "ErrorVariance",
    "FitMany",
    "Fold",
    "FormatError",
    "Frame",
    "GaussianMixture",
    "GmmDaskError",
    "Goodness",
    "Grid",
    "GridResult",
    "GroupTest",
    "Information",
    "Interrupted",
    "LocalEngine",
    "Margins",
    "Mixture",
    "ModeCount",
    "Observed",
    "Observer",
    "PassDone",
    "PassRecord",
    "Plan",
    "PlanError",
    "PlatformWarning",
    "Profile",
    "Projection",
    "Resolvability",
    "ResourceError",
    "Resumed",
    "RowFunction",
    "RowLayout",
    "RowShare",
    "RunLock",
    "Sample",
    "Source",
    "SourceChangedError",
    "StandardErrors",
    "StoreError",
    "TypeOrTrait",
    "WeightComparison",
    "ZarrSource",
    "__version__",
    "ambiguity",
    "ambiguity_from",
    "as_table",
    "batch",
    "bhattacharyya",
    "bit_errors",
    "boundary",
    "check_question",
    "check_rows",
    "check_workers",
    "compare_weights",
    "count_modes",
    "density_levels",
    "drift",
    "drift_from",
    "error_variance",
    "errors_from",
    "find_frame",
    "fisher_information",
    "fit_many",
    "goodness_fold",
    "goodness_from",
    "goodness_of_fit",
    "human_bytes",
    "is_alive",
    "machine_factor",
    "machine_facts",
    "merge_components",
    "merging_fold",
    "one_group_or_two",
    "own_profile",
    "pass_fold",
    "pass_seconds",
    "passes_left",
    "plan_for",
    "posterior_rows",
    "profile",
    "profile_fold",
    "profiles_from",
    "project",
    "read_beat",
    "regions",
    "resolvability",
    "resolvability_from",
    "rows_on_the_fence",
    "run_grid",
    "spool",
    "standard_errors",
    "type_or_trait",
    "unproject",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its home."""
    if name not in _HOME:
        raise AttributeError(f"module 'gmm_dask' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return list(__all__)
