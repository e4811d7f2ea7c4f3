"""What a run leaves behind: model, candidates, assignments, write-back and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gmm_dask import (
    Candidate,
    DaskEngine,
    Engine,
    GaussianMixture,
    Mixture,
    Profile,
    RowLayout,
    density_levels,
    plan_for,
)
from pipeline.config import Config
from pipeline.report import (
    candidates_table,
    chosen_sentence,
    summary_text,
    warning_sentences,
    widths_text,
)
from pipeline.run.diagnosing import (
    Diagnosis,
    diagnose,
    subject_of,
    summary_of,
    with_diagnosis,
    write_diagnosis,
)
from pipeline.run.droplets import concentration_rows
from pipeline.run.embedding import embedding_of
from pipeline.run.fitting import Fitted, candidate_row
from pipeline.run.groups import weight_rows
from pipeline.run.layouts import in_source_terms
from pipeline.run.reporting import build_results, write_report
from pipeline.run.sampling import write_sample
from pipeline.run.write_back import output_columns, write_back
from pipeline.sinks import Layout, OutputRecord, Sink, open_sink, part_rows_for, sha256_of
from pipeline.sinks import write_candidates_csv as write_candidates
from pipeline.sources import GroupedTable, Table
from pipeline.stages.label import AMBIGUOUS, OUTLIER, label_schema
from pipeline.stages.label_block import LabelBlock, LabelResult, summarize
from pipeline.stages.transform import Transform

if TYPE_CHECKING:
    from pipeline.run.job import Job

OUTLIERS = 1e-3
"""Share of the model's own rows that the column outlier marks."""

Outputs = dict[str, dict[str, Any]]


def write_outputs(job: Job, fitted: Fitted, engine: DaskEngine) -> dict[str, Any]:
    """Write everything of a fitted run; return the manifest's new entries."""
    config, folder = job.config, job.folder.path
    diagnosis = None
    if config.diagnose:
        with in_source_terms(fitted.table):
            diagnosis = diagnose(config.diagnose, subject_of(fitted, config), engine)
    profile = diagnosis.profile if diagnosis else None
    outputs: Outputs = {"model": write_model(config, fitted, folder / "model.zarr", profile)}
    outputs["candidates"] = _write_table(fitted, folder / "candidates.csv")
    if weights := weight_rows(fitted):
        outputs["weights"] = _written(weights, folder / "weights.csv")
    outputs |= write_sample(config, fitted)
    changes = _facts(fitted) | {"outputs": outputs}
    if wells := concentration_rows(config, fitted, engine):
        outputs["concentrations"] = _written(wells, folder / "concentrations.csv")
        changes["concentrations"] = wells
    record = None
    if config.output:
        record, result = write_assignments(
            fitted.table,
            fitted.candidate.mixture,
            fitted.transform,
            fitted.layout,
            engine,
            config.output.format,
            Path(config.output.path),
            output_columns(config),
            config.diagnose.ambiguous if config.diagnose else AMBIGUOUS,
        )
        outputs["assignments"] = _assignments_entry(record, fitted.table)
        changes["rows_written"] = result.n_rows
    if diagnosis:
        outputs["diagnosis"] = write_diagnosis(diagnosis, folder)
        changes["diagnosis"] = summary_of(diagnosis)
    changes |= _report(job, fitted, engine, changes, diagnosis)
    if record is not None and config.output and config.output.write_back:
        # last: in place it changes the file that everything before has read
        outputs["write_back"] = write_back(config, fitted, record, folder, engine)
    return changes | losses(engine)  # of the writing too


def losses(engine: Engine) -> dict[str, int]:
    """Return how often passes were repeated and how many workers were lost, so far."""
    return {
        "retries": sum(record.retries for record in engine.history),
        "workers_lost": sum(record.workers_lost for record in engine.history),
    }


def _facts(fitted: Fitted) -> dict[str, Any]:
    plan = plan_for(fitted.source)
    candidates = fitted.result.candidates
    return {
        "passes": fitted.result.n_passes,
        "rows": fitted.table.n_rows,
        "dropped": fitted.table.dropped,
        "chosen": candidate_row(fitted.candidate, True),
        "candidates": [candidate_row(c, i == fitted.chosen) for i, c in enumerate(candidates)],
        "plan": plan.describe(),
        "kernels": _kernels(candidates),
        "model_fingerprint": fitted.candidate.mixture.fingerprint,
    }


def _kernels(candidates: Sequence[Candidate]) -> dict[str, list[str]]:
    """Return the rows of the table of kernels that measured the candidates, by covariance type."""
    types = dict.fromkeys(candidate.covariance_type for candidate in candidates)
    return {
        name: sorted({c.mixture.kernel for c in candidates if c.covariance_type == name})
        for name in types
    }


def _report(
    job: Job,
    fitted: Fitted,
    engine: Engine,
    changes: dict[str, Any],
    diagnosis: Diagnosis | None,
) -> dict[str, Any]:
    """Return the table, sentence and warnings, after writing the report if it is wanted."""
    section = job.config.report
    manifest = job.folder.manifest | changes | job.times()
    wanted, colour_by = (section.features, section.colour_by) if section else (None, ())
    results = build_results(fitted, engine, manifest, job.seconds, wanted, tuple(colour_by))
    if diagnosis:
        results = with_diagnosis(results, diagnosis)
    if section:
        umap = embedding_of(job.config, fitted, engine, job.folder.path / "scratch")
        results = replace(results, embedding=umap)
        entry = write_report(results, job.folder.path, Path(section.path))
        changes["outputs"]["report"] = entry
    return {
        "table": candidates_table(results).split("\n"),
        "sentence": chosen_sentence(results),
        "widths": widths_text(results).split("\n"),
        "summary": summary_text(results),
        "warnings": list(warning_sentences(results)),
    }


def write_model(
    config: Config, fitted: Fitted, path: Path, profile: Profile | None = None
) -> dict[str, Any]:
    """Write the chosen model with its transform and how its rows look to it, for drift."""
    names = fitted.transform.after
    table = fitted.table
    groups = table.groups.names if isinstance(table, GroupedTable) else None
    model = GaussianMixture.from_candidate(fitted.candidate, fitted.grid, names, groups)
    extra = {
        "transform": fitted.transform.as_dict(),
        "columns": fitted.table.value_columns,
        "log_likelihood_per_row": fitted.candidate.log_likelihood_per_row,
        "run": config.run.name,
    }
    if profile is not None:
        extra["profile"] = vars(profile)
    model.save(path, extra)
    return {"path": str(path.resolve()), "sha256": sha256_of(path)}


def _write_table(fitted: Fitted, path: Path) -> dict[str, Any]:
    rows = [candidate_row(c, i == fitted.chosen) for i, c in enumerate(fitted.result.candidates)]
    return _written(rows, path)


def _written(rows: list[dict[str, Any]], path: Path) -> dict[str, Any]:
    """Write a table as CSV; return its entry for the manifest."""
    write_candidates(rows, path)
    return {"path": str(path.resolve()), "sha256": sha256_of(path)}


def write_assignments(
    table: Table,
    mixture: Mixture,
    transform: Transform,
    rows: RowLayout,
    engine: Engine,
    format_: str,
    path: Path,
    columns: tuple[str, ...],
    ambiguous: float = AMBIGUOUS,
) -> tuple[OutputRecord, LabelResult]:
    """Write the outputs of every row, by the workers, then put them in place in one step."""
    head = table.identity(0, 1)
    names = table.value_columns
    schema = label_schema(head.schema, columns, mixture.n_components, names)
    layout = Layout(schema, table.n_rows, part_rows_for(plan_for(table).block_rows, schema))
    sink: Sink = open_sink(format_, path, layout)
    try:
        through = transform if transform.steps else None
        size = layout.part_rows
        level = -np.inf
        if OUTLIER in columns:
            level = float(density_levels(mixture, (OUTLIERS,)).log_density[0])
        block = LabelBlock(
            *(mixture, table, sink, columns, size, through, rows, names),
            threshold=ambiguous,
            level=level,
        )
        with in_source_terms(table):
            result = summarize(engine.map(block, table))
        return sink.commit(result.parts), result
    except BaseException:
        sink.abort()
        raise


def _assignments_entry(record: OutputRecord, table: Table) -> dict[str, Any]:
    by = ", ".join(table.described.get("id") or ["row"])
    note = f"{record.rows:,} rows, joined by {by}"
    return {"path": record.path, "sha256": record.sha256, "rows": record.rows, "note": note}
