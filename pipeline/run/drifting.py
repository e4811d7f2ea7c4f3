"""`diagnose`: a finished run's fit, or its model against new rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gmm_dask import (
    ConfigError,
    DaskEngine,
    Drift,
    GaussianMixture,
    Profile,
    RowShare,
    Source,
    check_workers,
    drift_from,
    own_profile,
    profile_fold,
    profiles_from,
)
from pipeline.clusters import open_client
from pipeline.config import Config, DiagnoseSection
from pipeline.exits import ALARM
from pipeline.manifest import find_run
from pipeline.run.diagnosing import Subject, diagnose, summary_of
from pipeline.run.layouts import in_source_terms, layout_after, layout_of
from pipeline.run.predicting import opened_rows, without_limit
from pipeline.run.settings import cluster_settings, stored_config
from pipeline.run.stored import StoredModel, stored_model
from pipeline.schedulers import steadily
from pipeline.sources import Table
from pipeline.stages.transform import TransformedSource

BATCHES, BATCH_ROWS = 20, 1000
GATES = {"alarm": ("alarm",), "refit": ("refit", "alarm")}
Told = tuple[int, str, dict[str, Any]]


def diagnose_run(target: str, overrides: Sequence[str]) -> Told:
    """Say what the fit of a finished run means; return exit code, text and facts.

    Parameters
    ----------
    target : str
        Folder of the run.
    overrides : sequence of str
        ``key=value`` on its configuration, such as ``diagnose.ambiguous=0.8``.

    Raises
    ------
    ConfigError
        The run has no model.
    """
    config, stored = _run_of(target, overrides)
    section = config.diagnose or DiagnoseSection()
    with _asked(config, stored, config.source.path, target) as (engine, source, rows):
        mixture = stored.model.mixture_
        per_row = float(stored.model.lower_bound_)
        subject = Subject(mixture, source, rows, rows, per_row, stored.transform.after)
        found = diagnose(section, subject, engine)
    warned = [f"warning: {text}" for text in found.warnings()]
    return 0, "\n".join([*summary_of(found), *warned]), found.to_dict()


def drift_of(
    target: str, data: Sequence[str], overrides: Sequence[str], fail_on: str | None
) -> Told:
    """Judge new rows by the model of a finished run; return exit code, text and facts.

    Parameters
    ----------
    target : str
        Folder of the run.
    data : sequence of str
        Files, folders or globs, in the format of the run's source.
    overrides : sequence of str
    fail_on : {"alarm", "refit"}, optional
        The verdict (or a worse one) that ends with exit code 6.

    Raises
    ------
    ConfigError
        The run has no model, or `fail_on` is no verdict.
    """
    if fail_on is not None and fail_on not in GATES:
        raise ConfigError(f"--fail-on {fail_on}: alarm or refit, the verdicts that can fail")
    config, stored = _run_of(target, overrides)
    config = without_limit(config, overrides)
    with _asked(config, stored, tuple(data), target) as (engine, source, rows):
        n = source.n_rows
        batches = max(min(BATCHES, n // BATCH_ROWS), 1)
        fold = profile_fold(stored.model.mixture_, n, rows, batches)
        found = drift_from(profiles_from(fold, engine.fold(fold, source)), _reference(stored), n)
    fails = fail_on is not None and found.verdict in GATES[fail_on]
    code = ALARM if fails else 0
    return code, _text(found, code), found.to_dict()


def _run_of(target: str, overrides: Sequence[str]) -> tuple[Config, StoredModel]:
    folder = find_run(target)
    config = stored_config(target, overrides)
    if not (folder / "model.zarr").is_dir():
        raise ConfigError(f"{folder} has no model yet: gmm-dask status {folder}")
    return config, stored_model(folder / "model.zarr")


def _reference(stored: StoredModel) -> Profile:
    """Return how the rows of the fit looked; where the run did not say, the model's own rows."""
    model: GaussianMixture = stored.model
    kept = model.extra_.get("profile")
    return Profile.from_dict(kept) if kept else own_profile(model)


@contextmanager
def _asked(
    config: Config, stored: StoredModel, data: Sequence[str], target: str
) -> Iterator[tuple[DaskEngine, Source, RowShare | None]]:
    """Yield an engine, the rows as the mixture sees them, and how they are to be taken."""
    aside = find_run(target) / f"diagnose-{os.getpid()}"
    section = config.cluster
    with (
        opened_rows(config, data, stored.columns, aside) as table,
        open_client(cluster_settings(config)) as client,
    ):
        wait_for, timeout = section.wait_for_workers, section.timeout
        steadily(client, lambda: check_workers(client, table, timeout, wait_for), timeout)
        with DaskEngine(client, "stream", timeout=timeout) as engine, in_source_terms(table):
            yield engine, *_seen(config, stored, table)


def _seen(config: Config, stored: StoredModel, table: Table) -> tuple[Source, RowShare | None]:
    layout, transform = layout_of(config, table), stored.transform
    after = layout_after(config, layout)._replace(compute_dtype="float64")
    source: Source = TransformedSource(table, transform, layout) if transform.steps else table
    return source, RowShare.all_rows(after)


def _text(found: Drift, code: int) -> str:
    """Return the verdict in words."""
    new, old = found.found, found.reference
    error = (new.log_density_variance / max(new.n_rows, 1.0)) ** 0.5
    against = "the model's own rows" if old.simulated else "the rows of the fit"
    first = (
        f"verdict: {found.verdict}   log-likelihood per row {new.log_density:.4g} against "
        f"{old.log_density:.4g} of {against} (s.e. {error:.2g})   (exit {code})"
    )
    lines = [first]
    lines += [f"  {reason}" for reason in found.reasons[:8]]
    if len(found.reasons) > 8:
        lines.append(f"  and {len(found.reasons) - 8} more; --json has all")
    if found.blind:
        words = ", ".join(found.blind)
        lines.append(f"note: {new.n_rows:,.0f} rows are too few to see a change in {words}")
    return "\n".join(lines)
