"""The fit on a terminal: the table of candidates and a summary in mclust's shape."""

from __future__ import annotations

import math

from pipeline.report.results import CandidateRow, Results
from pipeline.report.widths import width_lines
from pipeline.report.words import CRITERIA, covariance_words, criterion_words, name, plural

# Scrucca et al. 2016, The R Journal 8:289, table 3.
_MCLUST = {"full": "VVV", "tied": "EEE", "diag": "VVI", "spherical": "VII"}
_RULE = "-" * 60
_PER_LINE = 10


def candidates_table(results: Results) -> str:
    """Return the table of all candidates; `>` marks the chosen one.

    Parameters
    ----------
    results : Results

    Returns
    -------
    str
        Plain text, one line per candidate, without a final line break.
    """
    heads = ["", "K", "type", "starts agree", "log-lik/row", "BIC"]
    extra = results.criterion if results.criterion in ("aic", "icl", "icl_map") else ""
    heads += [CRITERIA[extra]] if extra else []
    held_out = any(math.isfinite(row.held_out) for row in results.candidates)
    heads += ["held-out (s.e.)"] if held_out else []
    stable = any(math.isfinite(row.stability) for row in results.candidates)
    heads += ["stability"] if stable else []
    rows = [
        [">" if i == results.chosen else "", *_cells(row, extra, held_out, stable)]
        for i, row in enumerate(results.candidates)
    ]
    return "\n".join(_aligned([[*heads, "note"], *rows], (2, 3, len(heads))))


def _cells(row: CandidateRow, extra: str, held_out: bool, stable: bool) -> list[str]:
    cells = [str(row.n_components), name(row.covariance_type, 12)]
    cells += [f"{row.starts_agree}/{row.n_init}", _fixed(row.log_likelihood_per_row, 4)]
    cells += [_fixed(row.bic, 1)]
    cells += [_fixed(getattr(row, extra), 1)] if extra else []
    if held_out:
        cells.append(f"{_fixed(row.held_out, 3)} ({_fixed(row.held_out_error, 3)})")
    cells += [_fixed(row.stability, 2)] if stable else []
    return [*cells, name(row.note, 100)]


def _fixed(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}" if math.isfinite(value) else "-"


def _aligned(table: list[list[str]], left: tuple[int, ...] = ()) -> list[str]:
    """Return lines: the columns of `left` to the left, all others to the right."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    ]
    return [line.rstrip() for line in lines]


def summary_text(results: Results) -> str:
    """Return the chosen model as mclust's `summary` prints one, to be pasted into a paper.

    Parameters
    ----------
    results : Results

    Returns
    -------
    str
        Model in words, log-likelihood, n, df, BIC, ICL and the clustering table. BIC and ICL are
        those of scikit-learn: smaller is better (mclust prints them with the other sign).

    References
    ----------
    Scrucca, Fop, Murphy and Raftery 2016, The R Journal 8:289.
    """
    choice = results.choice
    title = f"Gaussian finite mixture model fitted by EM (gmm-dask {results.run.version})"
    lines = [_RULE, title, _RULE, "", _model_line(results), ""]
    lines += _aligned([["log.likelihood", "n", "df", "BIC", "ICL"], _numbers(choice)])
    lines += [f"(BIC, ICL: smaller is better; chosen by {_chosen_by(results)})"]
    lines += ["", "Clustering table:", *_clustering(results)]
    widths = widths_text(results)
    return "\n".join([*lines, *(["", widths] if widths else [])])


def widths_text(results: Results) -> str:
    """Return the widths of the components with the errors taken off and with them, or nothing."""
    lines = width_lines(results)
    if not lines:
        return ""
    title = "Widths, the errors taken off (in brackets: of a fit that ignores them):"
    return "\n".join([title, *_aligned(lines)])


def _chosen_by(results: Results) -> str:
    if len(results.candidates) == 1:
        return "the user"
    return criterion_words(results.criterion, results.rule)


def _model_line(results: Results) -> str:
    choice = results.choice
    code = _mclust_name(choice, len(results.source.columns))
    words = covariance_words(choice.covariance_type, choice.n_components)
    same = f" (mclust {code})" if code else ""
    return f"{plural(choice.n_components, 'component')}, {words}{same}"


def _mclust_name(choice: CandidateRow, n_columns: int) -> str:
    """Return mclust's code, which says X where there is but one component."""
    code = _MCLUST.get(choice.covariance_type, "")
    if n_columns == 1:
        code = code[:1]
    return code.replace("V", "X").replace("E", "X") if choice.n_components == 1 else code


def _numbers(choice: CandidateRow) -> list[str]:
    df = str(choice.n_parameters)
    n = f"{choice.n_rows:.0f}"
    return [_fixed(choice.log_likelihood, 3), n, df, _fixed(choice.bic, 3), _fixed(choice.icl, 3)]


def _clustering(results: Results) -> list[str]:
    """Return labels over counts, some at a time."""
    lines = []
    for start in range(0, len(results.components), _PER_LINE):
        part = results.components[start : start + _PER_LINE]
        cells = [(str(component.number), str(component.rows)) for component in part]
        widths = [max(len(label), len(rows)) for label, rows in cells]
        for row in (0, 1):
            line = "  ".join(cell[row].rjust(w) for cell, w in zip(cells, widths, strict=True))
            lines.append(line)
    return lines
