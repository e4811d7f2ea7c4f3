"""Facts of the run as pairs of a word and its value: at a glance, rows and files, the record."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gmm_dask import skipped_bound
from pipeline.report.results import Results
from pipeline.report.words import (
    CRITERIA,
    NOTHING,
    agreement,
    count,
    covariance_words,
    duration,
    fixed,
    name,
    number,
    plural,
    score,
    share,
)

MAX_FILES, MAX_REASONS, MAX_NAMES, MAX_CONFIG_LINES = 40, 40, 40, 1500


@dataclass(frozen=True)
class Fact:
    """A word and its value; `code` is set in a fixed pitch, `note` explains in small print."""

    word: str
    value: str
    note: str = ""
    code: bool = False


def facts_line(results: Results) -> str:
    """Return rows, columns, passes and time in one line under the sentence."""
    run, source = results.run, results.source
    n_columns = len(source.columns) - source.n_derived
    parts = [name(source.name, 120), f"{plural(run.rows_in, 'row')} read"]
    dropped = sum(reason.rows for reason in run.dropped)
    if dropped:
        parts.append(f"{count(dropped)} dropped")
    parts += [f"{count(run.rows_fitted)} fitted", plural(n_columns, "column")]
    return " · ".join([*parts, f"{_passes(run.passes)} in {duration(run.seconds)}"])


def _passes(passes: int) -> str:
    return plural(passes, "pass", "passes")


def glance(results: Results) -> list[Fact]:
    """Return the numbers that decide whether one reads on."""
    choice = results.choice
    facts = [
        Fact("Components", count(choice.n_components)),
        Fact("Shape", covariance_words(choice.covariance_type, choice.n_components)),
        Fact("Log-likelihood per row", fixed(choice.log_likelihood_per_row, 4)),
        Fact("BIC", score(choice.bic), "smaller is better"),
    ]
    if results.criterion in ("icl", "icl_map", "aic"):
        word = CRITERIA[results.criterion]
        value = float(getattr(choice, results.criterion))
        facts.append(Fact(word, score(value), "smaller is better"))
    if math.isfinite(choice.held_out):
        error = f"± {number(choice.held_out_error, 2)}"
        facts.append(Fact("Held-out log density", f"{fixed(choice.held_out, 4)} {error}"))
    if choice.n_init > 1:
        agree = f"{choice.starts_agree} of {choice.n_init}"
        facts.append(Fact("Starts agree", agree, "reached the same optimum"))
    labels = agreement(choice.stability, choice.stability_neighbours)
    if labels != NOTHING:
        facts.append(Fact("Labels agree", labels, "adjusted Rand index, 1: the same labels"))
    facts += [*_ambiguous(results), *_skipped(results)]
    return [*facts, Fact("Converged", _converged(results))]


def _skipped(results: Results) -> list[Fact]:
    """Return what passes may have left out of log densities, where components are many."""
    choice, source = results.choice, results.source
    D = source.n_derived or len(source.columns)  # what the mixture sees
    bound = skipped_bound(choice.n_components, D, choice.covariance_type) if D else 0.0
    if not bound:
        return []
    note = "of a row's log density while fitting: components with shares below 1e-13 of the row"
    return [Fact("Left out", f"at most {bound:.1e}", note)]


def _ambiguous(results: Results) -> list[Fact]:
    if len(results.components) < 2 or not results.n_labelled:
        return []
    value = f"{count(results.n_ambiguous)} ({share(results.n_ambiguous / results.n_labelled)})"
    note = f"largest probability below {results.ambiguous_below:g}"
    return [Fact("Ambiguous rows", value, note)]


def _converged(results: Results) -> str:
    word = "yes" if results.choice.converged else "no"
    return f"{word}, after {_passes(results.choice.n_iter)}"


def row_facts(results: Results) -> tuple[Fact, ...]:
    """Return rows in, dropped by reason, fitted and written; workers; files."""
    run = results.run
    dropped = [
        Fact("Dropped", count(reason.rows), name(reason.reason, 200))
        for reason in run.dropped[:MAX_REASONS]
    ]
    files = [
        Fact(name(file.name, 60), name(file.path, 300), _file_note(file.note, file.sha256), True)
        for file in run.files[:MAX_FILES]
    ]
    lacking = [
        Fact(name(fact.word, 80), name(fact.value, 80), name(fact.note, 300))
        for fact in results.source.rows[:MAX_REASONS]
    ]
    return (
        Fact("Rows read", count(run.rows_in)),
        *dropped,
        Fact("Rows fitted", count(run.rows_fitted)),
        *lacking,
        Fact("Rows written", count(run.rows_written)),
        Fact("Workers", f"{count(run.workers)}, {count(run.lost_workers)} lost"),
        Fact("Retries", count(run.retries)),
        *files,
    )


def _file_note(note: str, sha256: str) -> str:
    parts = [name(note, 200), f"sha256 {name(sha256, 16)}" if sha256 else ""]
    return ", ".join(filter(None, parts))


def provenance(results: Results) -> list[Fact]:
    """Return version, data fingerprint, command and times."""
    run, source = results.run, results.source
    steps = "; ".join(name(step, 200) for step in source.transforms[:MAX_NAMES]) or "none"
    return [
        Fact("Command", name(run.command, 1000), code=True),
        Fact("gmm-dask", name(run.version, 60)),
        Fact("Started", name(run.started, 60)),
        Fact("Finished", name(run.finished, 60), name(run.exit_reason, 300)),
        Fact("Source", name(source.name, 300), code=True),
        Fact("Data fingerprint", name(run.fingerprint, 200), code=True),
        Fact("Columns", _columns(results)),
        Fact("Transforms", steps, name(source.density_note, 400)),
    ]


def _columns(results: Results) -> str:
    columns = results.source.columns
    names = [
        name(column.name, 60) + (f" [{name(column.unit, 20)}]" if column.unit else "")
        for column in columns[:MAX_NAMES]
    ]
    more = len(columns) - len(names)
    return ", ".join(names) + (f", and {more:,} more" if more else "")


def config_text(config: str) -> str:
    """Return the configuration line by line, cut where it is absurdly long."""
    lines = config.splitlines()
    text = "\n".join(name(line, 400) for line in lines[:MAX_CONFIG_LINES])
    return text + ("\n…" if len(lines) > MAX_CONFIG_LINES else "")
