"""Gaussian mixtures for data that do not fit one machine.

`GaussianMixture` is the scikit-learn face; `fit_many` runs a whole grid in shared passes. The other
names are the parts of which pipelines are made: sources, engines, folds and results.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from gmm_dask.version import __version__ as __version__

# Names are imported when they are first asked for: a worker that measures blocks needs neither
# scikit-learn nor pandas, and starts in half the time without them.
_HOMES = {
    "gmm_dask.angled": ("Shape", "shape_of"),
    "gmm_dask.blocks": ("ArraySource", "Block", "Frame", "Observed", "RowLayout", "Source"),
    "gmm_dask.cost": ("COST_MODEL", "machine_factor", "pass_seconds"),
    "gmm_dask.described": ("Described", "describe"),
    "gmm_dask.diagnostics.boundaries": ("Boundary", "boundary", "regions"),
    "gmm_dask.diagnostics.drift": ("Drift", "Margins", "drift", "drift_from"),
    "gmm_dask.diagnostics.equal_weights": ("WeightComparison", "compare_weights"),
    "gmm_dask.diagnostics.error_variance": ("ErrorVariance", "error_variance"),
    "gmm_dask.diagnostics.fence": (
        "Ambiguity",
        "ambiguity",
        "ambiguity_from",
        "certainty_fold",
        "rows_on_the_fence",
    ),
    "gmm_dask.diagnostics.goodness": (
        "Goodness",
        "goodness_fold",
        "goodness_from",
        "goodness_of_fit",
    ),
    "gmm_dask.diagnostics.groups": ("GroupTest", "one_group_or_two"),
    "gmm_dask.diagnostics.levels": ("density_levels",),
    "gmm_dask.diagnostics.merging": ("merge_components",),
    "gmm_dask.diagnostics.modes": ("ModeCount", "count_modes"),
    "gmm_dask.diagnostics.overlap": ("bhattacharyya",),
    "gmm_dask.diagnostics.pair_information": ("fisher_information",),
    "gmm_dask.diagnostics.profile": (
        "Profile",
        "own_profile",
        "profile",
        "profile_fold",
        "profiles_from",
    ),
    "gmm_dask.diagnostics.resolvability": (
        "Resolvability",
        "merging_fold",
        "resolvability",
        "resolvability_from",
    ),
    "gmm_dask.diagnostics.standard_errors": (
        "StandardErrors",
        "WHAT_A_WEIGHT_IS",
        "check_question",
        "errors_from",
        "standard_errors",
    ),
    "gmm_dask.diagnostics.tails": ("BitErrors", "bit_errors"),
    "gmm_dask.diagnostics.trait": ("TypeOrTrait", "type_or_trait"),
    "gmm_dask.drive": ("Interrupted", "PassDone"),
    "gmm_dask.droplets": (
        "Concentrations",
        "concentrations_of",
        "droplet_concentrations",
        "fit_droplets",
        "start_of_droplets",
    ),
    "gmm_dask.engine.base": ("Engine", "PassRecord"),
    "gmm_dask.engine.dask_engine": ("DaskEngine",),
    "gmm_dask.engine.dask_workers": ("check_workers",),
    "gmm_dask.engine.local": ("LocalEngine",),
    "gmm_dask.engine.memory": ("Projection", "human_bytes", "project"),
    "gmm_dask.engine.plan": ("Plan", "plan_for"),
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
    "gmm_dask.estimator.frozen": ("held_of", "start_values"),
    "gmm_dask.estimator.gaussian_mixture": ("GaussianMixture",),
    "gmm_dask.estimator.kmeans": ("KMeans",),
    "gmm_dask.estimator.outputs": ("as_table",),
    "gmm_dask.first_pass": ("find_frame",),
    "gmm_dask.fit_many": ("FitMany", "fit_many"),
    "gmm_dask.fits.stopping": ("passes_left",),
    "gmm_dask.folds.columns": ("ColumnStats",),
    "gmm_dask.folds.information": ("Information",),
    "gmm_dask.folds.rows": ("RowShare",),
    "gmm_dask.folds.sample": ("Sample",),
    "gmm_dask.group_names": ("GroupNames",),
    "gmm_dask.kernels.near": ("skipped_bound",),
    "gmm_dask.laws.droplets": ("Droplets",),
    "gmm_dask.laws.named": ("law_of", "law_word"),
    "gmm_dask.machine": ("machine_facts",),
    "gmm_dask.many": ("GridResult", "run_grid"),
    "gmm_dask.measuring": ("observer_of",),
    "gmm_dask.mixture": ("Mixture",),
    "gmm_dask.observed": ("Observer",),
    "gmm_dask.projections": ("unproject",),
    "gmm_dask.rows": ("RowFunction", "check_rows", "posterior_rows"),
    "gmm_dask.search": ("Grid", "pass_fold"),
    "gmm_dask.selection": ("Candidate",),
    "gmm_dask.state": ("CheckpointSettings", "Resumed"),
    "gmm_dask.stats": ("Batch", "Fold", "batch"),
    "gmm_dask.store.heartbeat": ("read_beat",),
    "gmm_dask.store.lock": ("RunLock",),
    "gmm_dask.store.owner": ("is_alive",),
    "gmm_dask.store.spool": ("spool",),
    "gmm_dask.store.zarr_source": ("ZarrSource",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME, "__version__"])  # the same as in __init__.pyi


def __getattr__(name: str) -> Any:
    """Import a public name from its home."""
    if name not in _HOME:
        raise AttributeError(f"module 'gmm_dask' has no attribute {name!r}")
    home = import_module(_HOME[name])
    # all of them at once: the import has just bound the module itself where it has a public name
    globals().update({each: getattr(home, each) for each in _HOMES[_HOME[name]]})
    return globals()[name]


def __dir__() -> list[str]:
    """Return the public names."""
    return list(__all__)
