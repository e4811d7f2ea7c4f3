"""The fit in words: the sentence on top, and the warnings."""

from __future__ import annotations

import numpy as np

from pipeline.report.results import CandidateRow, Results
from pipeline.report.words import covariance_words, criterion_words, listed, name, plural, share

# Two equal Gaussians two standard deviations apart, where the two modes merge: exp(-1/2).
STRONG_OVERLAP = 0.6065
MAX_WARNINGS = 30


def chosen_sentence(results: Results) -> str:
    """Return the chosen model in words, one sentence.

    Parameters
    ----------
    results : Results

    Returns
    -------
    str
        Such as "3 components, full covariances, chosen among 40 fits by held-out likelihood; 4 of 5
        starts agree; 6 % of the rows are ambiguous."
    """
    parts = [_model(results), _starts(results.choice)]
    if len(results.components) > 1 and results.n_labelled:
        parts.append(_ambiguous(results))
    return "; ".join(parts) + "."


def _model(results: Results) -> str:
    choice = results.choice
    words = covariance_words(choice.covariance_type, choice.n_components)
    return f"{plural(choice.n_components, 'component')}, {words}, {_how(results)}"


def _how(results: Results) -> str:
    if len(results.candidates) == 1:
        return "the only model asked for"
    fits = sum(candidate.n_init for candidate in results.candidates)
    return f"chosen among {fits:,} fits by {criterion_words(results.criterion, results.rule)}"


def _starts(choice: CandidateRow) -> str:
    if choice.n_init == 1:
        return "from one start"
    verb = "agrees" if choice.starts_agree == 1 else "agree"
    return f"{choice.starts_agree} of {choice.n_init} starts {verb}"


def _ambiguous(results: Results) -> str:
    if not results.n_ambiguous:
        return "no row is ambiguous"
    return f"{share(results.n_ambiguous / results.n_labelled)} of the rows are ambiguous"


def warning_sentences(results: Results) -> tuple[str, ...]:
    """Return all warnings: those of the run, and those that follow from the numbers.

    The latter are a choice that did not converge (first of all), an optimum that only one of three
    or more starts reached, the largest K of a grid, and pairs that overlap strongly.

    Parameters
    ----------
    results : Results
    """
    own = (*_one_start(results), *_edge(results), *_overlaps(results))
    given = tuple(name(sentence, 600) for sentence in results.warnings)
    every = tuple(dict.fromkeys((*_not_converged(results), *given, *own)))
    if len(every) <= MAX_WARNINGS:
        return every
    more = len(every) - MAX_WARNINGS
    return (*every[:MAX_WARNINGS], f"{more:,} more warnings are in events.jsonl.")


def _not_converged(results: Results) -> tuple[str, ...]:
    if results.choice.converged:
        return ()
    passes = plural(results.choice.n_iter, "pass", "passes")
    words = f"The chosen fit did not converge in {passes}: its numbers would still move. "
    return (words + "Raise model.max_iter and run again: it goes on from here.",)


def _one_start(results: Results) -> tuple[str, ...]:
    choice = results.choice
    if choice.n_init < 3 or choice.starts_agree > 1 or choice.n_components == 1:
        return ()
    dropped = sum(bool(start.fate) for start in choice.restarts)
    on_the_way = f" ({dropped} were dropped on the way)" if dropped else ""
    words = f"Only one of {choice.n_init} starts reached the chosen optimum{on_the_way}: "
    return (words + "there may be a better one. Raise model.n_init.",)


def _edge(results: Results) -> tuple[str, ...]:
    sizes = sorted({candidate.n_components for candidate in results.candidates})
    if len(sizes) < 3 or results.choice.n_components != sizes[-1]:
        return ()
    words = f"The largest number of components that was tried ({sizes[-1]}) was chosen: "
    return (words + "the best number may be larger. Widen model.n_components.",)


def _overlaps(results: Results) -> tuple[str, ...]:
    pairs = strongest_overlaps(results, STRONG_OVERLAP)
    if not pairs:
        return ()
    shown = listed([f"{a} and {b} ({value:.2f})" for a, b, value in pairs[:3]])
    words = "Components that are hard to tell apart (overlap of 1 means equal): " + shown
    more = f"; {len(pairs) - 3} more pairs below" if len(pairs) > 3 else ""
    return (words + more + ".",)


def strongest_overlaps(
    results: Results, at_least: float, limit: int = 1000
) -> list[tuple[int, int, float]]:
    """Return (number, number, Bhattacharyya coefficient) of the pairs, strongest first.

    Parameters
    ----------
    results : Results
    at_least : float
        Pairs below this are left out.
    limit : int
        Longest list.
    """
    i, j = np.triu_indices(len(results.components), 1)
    values = np.nan_to_num(results.overlap[i, j], nan=0.0)
    order = np.argsort(-values, kind="stable")[:limit]
    numbers = [component.number for component in results.components]
    return [
        (numbers[i[k]], numbers[j[k]], float(values[k])) for k in order if values[k] >= at_least
    ]
