"""What a fit means, in one further pass: errors, overlaps, tails, ambiguous rows, and a profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gmm_dask import (
    ConfigError,
    Engine,
    Fold,
    Information,
    Mixture,
    PlanError,
    Profile,
    RowShare,
    Source,
    ambiguity_from,
    batch,
    certainty_fold,
    check_question,
    errors_from,
    goodness_fold,
    goodness_from,
    merging_fold,
    profile_fold,
    profiles_from,
    resolvability_from,
)
from pipeline.config import DiagnoseSection
from pipeline.report import Results
from pipeline.report.meaning import Meaning, Tails
from pipeline.run.fitting import Fitted
from pipeline.run.layouts import layout_after
from pipeline.sinks import sha256_of, write_json_atomic

DIAGNOSIS = "diagnosis.json"
TAIL_PARTS = ("share", "ratio", "low", "high")
MOST_WORK = 1e13
"""Products that the information of all parameters may cost: rows times squared parameters."""

Answer = Callable[[Any], Any]


@dataclass(frozen=True)
class Subject:
    """A mixture and the rows it is asked about.

    Parameters
    ----------
    mixture : Mixture
    source : Source
        What the mixture sees.
    rows : RowShare, optional
        How all rows are to be taken.
    trained : RowShare, optional
        The rows of the fit.
    per_row : float
        Log-likelihood per row of the fit, as the mixture sees it.
    columns : tuple of str
    """

    mixture: Mixture
    source: Source
    rows: RowShare | None
    trained: RowShare | None
    per_row: float
    columns: tuple[str, ...]


@dataclass
class Diagnosis:
    """What came out.

    Parameters
    ----------
    profile : Profile, optional
        To be kept with the model; see `gmm_dask.drift`.
    results : dict
        Results of the library by name, each with `to_dict`.
    left_out : dict
        Why something was not asked.
    """

    profile: Profile | None = None
    results: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        found = {name: value.to_dict() for name, value in self.results.items()}
        profile = self.profile.to_dict() if self.profile else None
        return {**found, "profile": profile, "left_out": self.left_out, "warnings": self.warnings()}

    def warnings(self) -> list[str]:
        """Return what a reader must know, in words: first what is not Gaussian, then pairs."""
        goodness, overlap = self.results.get("tails"), self.results.get("overlap")
        errors = self.results.get("standard_errors")
        found = [*(goodness.findings if goodness else ()), *(overlap.warnings if overlap else ())]
        found += errors.problems if errors else ()
        return found


def subject_of(fitted: Fitted, config: Any) -> Subject:
    """Return the chosen mixture of a fitted grid, with its rows."""
    layout = layout_after(config, fitted.layout)._replace(compute_dtype="float64")
    best = fitted.candidate.best.lower_bound
    mixture = fitted.candidate.mixture
    return Subject(
        mixture,
        fitted.source,
        RowShare.all_rows(layout),
        fitted.grid.rows,
        float(best),
        fitted.transform.after,
    )


def diagnose(section: DiagnoseSection, subject: Subject, engine: Engine) -> Diagnosis:
    """Ask everything that is wanted in one pass, and put the answers in words.

    Parameters
    ----------
    section : DiagnoseSection
    subject : Subject
    engine : Engine
    """
    found = Diagnosis()
    asked = _questions(section, subject, found)
    if not asked:
        return found
    try:
        answers = engine.fold(batch([fold for fold, _ in asked.values()]), subject.source)
    except PlanError as error:
        if "standard_errors" not in asked:
            raise
        del asked["standard_errors"]  # the information is the only large sum: told, not hidden
        found.left_out["standard_errors"] = f"standard errors: {error}"
        answers = engine.fold(batch([fold for fold, _ in asked.values()]), subject.source)
    for (name, (_, finish)), answer in zip(asked.items(), answers, strict=True):
        result = finish(answer)
        if name == "profile":
            found.profile = result
        else:
            found.results[name] = result
    return found


def _questions(
    section: DiagnoseSection, subject: Subject, found: Diagnosis
) -> dict[str, tuple[Fold[Any, Any, Any], Answer]]:
    """Return each fold with what makes a result of its answer; note what cannot be asked."""
    makers = {
        "standard_errors": (section.standard_errors, _standard_errors),
        "overlap": (section.overlap, _overlap),
        "tails": (section.tails, _tails),
        "ambiguity": (True, lambda s: _ambiguity(s, section.ambiguous)),
        "profile": (True, _profile),
    }
    asked = {}
    for name, (wanted, make) in makers.items():
        if wanted:
            try:
                asked[name] = make(subject)
            except ConfigError as error:
                found.left_out[name] = str(error)
    return asked


def _standard_errors(subject: Subject) -> tuple[Fold[Any, Any, Any], Answer]:
    mixture = subject.mixture
    check_question(mixture)
    work = float(subject.source.n_rows) * float(mixture.n_parameters) ** 2
    if work > MOST_WORK:
        raise ConfigError(
            f"standard errors: {subject.source.n_rows:,} rows times {mixture.n_parameters:,} "
            "parameters squared would take longer than the fit; ask for them by "
            "gmm_dask.standard_errors, on a share of the rows"
        )
    fold = Information(mixture, subject.trained)
    return fold, lambda answer: errors_from(mixture, answer, columns=subject.columns)


def _overlap(subject: Subject) -> tuple[Fold[Any, Any, Any], Answer]:
    check_question(subject.mixture)
    fold = merging_fold(subject.mixture, subject.per_row, subject.trained)
    return fold, lambda answer: resolvability_from(subject.mixture, answer.n_rows, answer)


def _tails(subject: Subject) -> tuple[Fold[Any, Any, Any], Answer]:
    fold, levels = goodness_fold(subject.mixture, subject.source.n_rows, subject.rows)
    return fold, lambda answer: goodness_from(subject.mixture, levels, answer)


def _ambiguity(subject: Subject, threshold: float) -> tuple[Fold[Any, Any, Any], Answer]:
    fold = certainty_fold(subject.mixture, threshold, subject.rows)
    return fold, lambda answer: ambiguity_from(subject.mixture, answer, threshold)


def _profile(subject: Subject) -> tuple[Fold[Any, Any, Any], Answer]:
    fold = profile_fold(subject.mixture, subject.source.n_rows, subject.rows)
    return fold, lambda answer: profiles_from(fold, answer)[0]


def meaning_of(found: Diagnosis, n_components: int) -> Meaning:
    """Return what a report draws of a diagnosis."""
    errors, goodness = found.results.get("standard_errors"), found.results.get("tails")
    none = np.full(n_components, np.nan)
    shares = (goodness.densities or goodness.distances) if goodness else ()
    parts = (
        {name: np.array([getattr(s, name) for s in shares]) for name in TAIL_PARTS}
        if shares
        else None
    )
    return Meaning(
        weight_low=errors.weights.low if errors else none,
        weight_high=errors.weights.high if errors else none,
        tails=Tails(**parts) if parts else None,
    )


def with_diagnosis(results: Results, found: Diagnosis) -> Results:
    """Return the results of a report with what a diagnosis found."""
    doubt = found.results.get("ambiguity")
    if doubt is not None:
        ambiguous = {"n_ambiguous": round(doubt.ambiguous), "ambiguous_below": doubt.threshold}
        results = replace(results, **ambiguous)
    return replace(
        results,
        meaning=meaning_of(found, len(results.components)),
        warnings=(*results.warnings, *found.warnings()),
    )


def write_diagnosis(found: Diagnosis, folder: Path) -> dict[str, Any]:
    """Write ``diagnosis.json``; return its entry for the manifest."""
    path = folder / DIAGNOSIS
    write_json_atomic(path, found.to_dict())
    return {"path": str(path.resolve()), "sha256": sha256_of(path)}


def summary_of(found: Diagnosis) -> list[str]:
    """Return what a terminal shows: weights with intervals, tails, pairs, doubtful rows."""
    lines: list[str] = []
    errors, goodness = found.results.get("standard_errors"), found.results.get("tails")
    if errors:
        parts = zip(errors.weights.value, errors.weights.low, errors.weights.high, strict=True)
        shown = [f"{k}: {w:.3g} ({a:.3g} to {b:.3g})" for k, (w, a, b) in enumerate(parts)][:12]
        more = "" if len(errors.weights.value) <= 12 else ", ..."
        lines.append(f"weights     {', '.join(shown)}{more}   ({errors.level:.0%} intervals)")
    if goodness:
        shares = goodness.densities or goodness.distances
        told = [f"{s.share:g}: {s.ratio:.3g} ({s.low:.3g} to {s.high:.3g})" for s in shares]
        lines.append(f"tails       rows found over expected at {', '.join(told)}")
    if "overlap" in found.results:
        pairs = found.results["overlap"].pairs
        apart = sum(pair.resolved for pair in pairs)
        lines.append(f"overlap     {apart} of {len(pairs)} nearest pairs can be told apart")
    if "ambiguity" in found.results:
        doubt = found.results["ambiguity"]
        lines.append(
            f"ambiguous   {doubt.share:.2%} of the rows (largest probability below "
            f"{doubt.threshold:g}); {doubt.expected_error:.2%} of all labels are expected wrong"
        )
    return lines + [f"left out    {reason}" for reason in found.left_out.values()]
