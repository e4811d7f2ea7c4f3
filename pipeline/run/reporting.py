"""Results stored beside a run, and the report made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gmm_dask import ConfigError, Engine, FormatError
from pipeline.manifest import RunFolder, find_run, located, read_manifest
from pipeline.report import Results, render
from pipeline.report.panels import Composition, Histogram, Passes
from pipeline.report.parts import Dropped, OutputFile, Run
from pipeline.run import lacking
from pipeline.run import results as made
from pipeline.run.fitting import Fitted
from pipeline.run.groups import law_facts
from pipeline.run.ignoring import errors_ignored
from pipeline.sinks import sha256_of
from pipeline.sinks.disk import LOCAL, write_atomic
from pipeline.stages import figures as drawn

RESULTS = "results.json"
LARGEST = 64 << 20


def build_results(
    fitted: Fitted,
    engine: Engine,
    manifest: dict[str, Any],
    passes: list[tuple[float, int]],
    wanted: tuple[tuple[str, str], ...] | None,
    colour_by: tuple[str, ...],
) -> Results:
    """Return everything that the report shows, by one pass (two with `colour_by`).

    Parameters
    ----------
    fitted : Fitted
    engine : Engine
    manifest : dict
        Of the run so far.
    passes : list of (seconds, live fits)
    wanted : pairs of columns to draw, optional
    colour_by : tuple of str
        Identity columns by which components are broken down.
    """
    shown = made.Shown(fitted)
    sums, views, edges = made.figures_of(fitted, shown, engine, wanted)
    seconds, live = (
        (np.array(part, dtype=float) for part in zip(*passes, strict=True))
        if passes
        else (
            np.empty(0),
            np.empty(0),
        )
    )
    config = manifest["config"]
    facts = made.source_facts(fitted, shown, manifest["source"])
    return Results(
        run=_run(fitted, engine, manifest),
        source=replace(facts, rows=(*lacking.row_facts(fitted, shown), *law_facts(fitted))),
        candidates=made.candidate_rows(fitted),
        chosen=fitted.chosen,
        criterion=config["select"]["criterion"],
        rule=config["select"]["rule"],
        components=made.component_rows(shown, sums),
        overlap=shown.overlap,
        n_ambiguous=int(sums.probability[:45].sum()),
        pairs=made.pair_panels(fitted, shown, views, sums),
        line=made.line_panel(fitted, shown, views, sums),
        probability=Histogram(
            edges=np.linspace(0, 1, drawn.PROBABILITY_BINS + 1), counts=sums.probability
        ),
        log_density=Histogram(edges=edges, counts=sums.density),
        compositions=_compositions(fitted, engine, colour_by),
        passes=Passes(seconds=seconds, live_fits=live),
        widths=errors_ignored(fitted, shown, engine),
        warnings=(*made.warnings_of(fitted), *lacking.lacking_warnings(fitted, shown)),
    )


def _run(fitted: Fitted, engine: Engine, manifest: dict[str, Any]) -> Run:
    import yaml

    table = fitted.table
    dropped = tuple(Dropped(reason=r, rows=n) for r, n in table.dropped.items())
    config = manifest["config"]
    return Run(
        name=manifest["name"],
        title=(config["report"] or {}).get("title") or "" if config["report"] else "",
        command=manifest.get("command", ""),
        version=manifest["versions"]["gmm-dask"],
        started=manifest["started"],
        finished=manifest.get("finished", manifest["started"]),
        seconds=float(manifest.get("seconds", 0.0)),
        exit_code=int(manifest.get("exit_code", 0)),
        exit_reason=str(manifest.get("reason", "finished")),
        passes=fitted.result.n_passes,
        workers=int(manifest.get("workers", {}).get("workers", 0)),
        retries=sum(record.retries for record in engine.history),
        lost_workers=sum(record.workers_lost for record in engine.history),
        config=yaml.safe_dump(config, sort_keys=False, allow_unicode=True),
        fingerprint=table.fingerprint,
        rows_in=table.n_rows + sum(table.dropped.values()),
        rows_fitted=int(fitted.candidate.n_rows),
        rows_written=int(manifest.get("rows_written", 0)),
        dropped=dropped,
        files=_files(manifest),
    )


def _files(manifest: dict[str, Any]) -> tuple[OutputFile, ...]:
    return tuple(
        OutputFile(
            name=name, path=item["path"], note=item.get("note", ""), sha256=item.get("sha256", "")
        )
        for name, item in manifest.get("outputs", {}).items()
    )


def _compositions(
    fitted: Fitted, engine: Engine, colour_by: tuple[str, ...]
) -> tuple[Composition, ...]:
    if not colour_by:
        return ()
    table = fitted.table
    mixture, transform = fitted.candidate.mixture, fitted.transform
    layout = fitted.layout
    count = drawn.Composition(mixture, transform, table.identity, colour_by, layout)
    total = drawn.merged(engine.map(count, table))
    found = []
    for name, categories in total.items():
        names = tuple(sorted(categories, key=lambda c: (-sum(categories[c]), c)))
        counts = np.array([categories[c] for c in names], dtype=float).T
        found.append(Composition(name=name, categories=names, counts=counts))
    return tuple(found)


def write_report(results: Results, folder: Path, path: Path) -> dict[str, Any]:
    """Store the results, render the report, and return its entry for the manifest."""
    write_atomic(LOCAL, folder / RESULTS, results.to_json().encode())
    render(results, path)
    return {"path": str(path.resolve()), "sha256": sha256_of(path)}


def rebuild_report(target: str) -> Path:
    """Make the report of a finished run again, from its stored results.

    Raises
    ------
    ConfigError
        The run has no stored results.
    """
    folder = find_run(target)
    stored = folder / RESULTS
    if not stored.is_file():
        raise ConfigError(
            f"{folder} has no {RESULTS}: the run has not finished, or report was false"
        )
    if stored.stat().st_size > LARGEST:
        raise FormatError(f"{stored} is larger than {LARGEST} bytes: these are no results")
    manifest = read_manifest(folder / "run.json")
    outputs = manifest.get("outputs", {})
    at = outputs.get("report", {}).get("path", str(folder / "report.html"))
    path = located(manifest, folder, at)
    render(Results.from_json(stored.read_bytes()), path)
    if "report" in outputs:
        outputs["report"]["sha256"] = sha256_of(path)
        run = RunFolder(folder)
        run.manifest = manifest
        run.update(outputs=outputs)
    return path
