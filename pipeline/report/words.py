"""Numbers and names as a reader wants to see them."""

from __future__ import annotations

import math
import unicodedata

NOTHING = "–"
COVARIANCES = {
    "full": "full covariances",
    "tied": "one covariance shared by all (tied)",
    "diag": "diagonal covariances",
    "spherical": "spherical covariances",
}
CRITERIA = {
    "bic": "BIC",
    "aic": "AIC",
    "icl": "ICL",
    "icl_map": "ICL (hard labels)",
    "held_out": "held-out likelihood",
    "stability": "stability",
}


def covariance_words(covariance_type: str, n_components: int = 2) -> str:
    """Return the covariance type in words, in the singular for one component."""
    words = COVARIANCES.get(covariance_type, f"{name(covariance_type)} covariances")
    if n_components > 1:
        return words
    return "full covariance" if covariance_type == "tied" else words.removesuffix("s")


def criterion_words(criterion: str, rule: str = "best") -> str:
    """Return the criterion, and the rule where it is not simply the best value."""
    words = CRITERIA.get(criterion, name(criterion))
    return words + (" (one standard error)" if rule == "one_standard_error" else "")


def number(value: float, digits: int = 4) -> str:
    """Return a number of so many significant digits; a dash where there is none."""
    if not math.isfinite(value):
        return NOTHING if math.isnan(value) else ("-∞" if value < 0 else "∞")
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if not -4 <= size < 9:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(0, digits - 1 - size)}f}"


def agreement(restarts: float, neighbours: float) -> str:
    """Return how labels hold: 0.93 (restarts), 0.88 (neighbours); a dash for nothing known."""
    known = {"restarts": restarts, "neighbours": neighbours}
    parts = [f"{value:.2f} ({what})" for what, value in known.items() if math.isfinite(value)]
    return ", ".join(parts) or NOTHING


def fixed(value: float, decimals: int) -> str:
    """Return a number of so many decimals; a dash where there is none."""
    return f"{value:,.{decimals}f}" if math.isfinite(value) else number(value)


def score(value: float) -> str:
    """Return a criterion: one decimal, none where a tenth means nothing."""
    return fixed(value, 1 if abs(value) < 1e6 else 0)


def count(value: float) -> str:
    """Return a whole number with separators."""
    return f"{value:,.0f}" if math.isfinite(value) else NOTHING


def share(value: float) -> str:
    """Return a share of one as a percentage: 6 %, 0.4 %, under 0.1 %."""
    if not math.isfinite(value):
        return NOTHING
    percent = 100 * value
    if 0 < percent < 0.1:
        return "under 0.1\u202f%"
    decimals = 0 if percent == 0 or 9.95 <= percent <= 99 or percent == 100 else 1
    text = f"{min(percent, 99.9) if percent < 100 else percent:.{decimals}f}"
    return text.removesuffix(".0") + "\u202f%"


def duration(seconds: float) -> str:
    """Return a time: 8.7 s, 3 min 12 s, 2 h 5 min."""
    if not math.isfinite(seconds):
        return NOTHING
    if seconds < 99.95:
        return f"{seconds:.1f} s" if seconds >= 0.95 else f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def with_spreads(means: list[float], stds: list[float]) -> list[tuple[str, str]]:
    """Return means and standard deviations of one column, all with the same decimals.

    The decimals are those that give the middle standard deviation two digits.

    Parameters
    ----------
    means, stds : list of float
    """
    spreads = sorted(std for std in stds if 0 < std < math.inf)
    sizes = [abs(mean) for mean in means if math.isfinite(mean)]
    if not spreads or not sizes:
        return [(number(m), number(s, 2)) for m, s in zip(means, stds, strict=True)]
    middle = spreads[len(spreads) // 2]
    top, low = (math.floor(math.log10(x)) for x in (max(*sizes, middle), middle))
    if not -4 < top < 7:
        digits = min(max(top - low + 1, 1), 9)
        return [(_power(m, digits), _power(s, 1)) for m, s in zip(means, stds, strict=True)]
    decimals = min(max(1 - low, 0), 9)
    return [(fixed(m, decimals), fixed(s, decimals)) for m, s in zip(means, stds, strict=True)]


def _power(value: float, digits: int) -> str:
    return f"{value:.{digits}e}" if math.isfinite(value) else number(value)


def plural(how_many: float, noun: str, many: str = "") -> str:
    """Return "1 row", "2 rows"; `many` is the plural where it is not made with an s."""
    return f"{count(how_many)} {noun if how_many == 1 else many or noun + 's'}"


def name(text: str, limit: int = 120) -> str:
    """Return a name of the user's without control characters, cut where it is very long."""
    clean = "".join("\ufffd" if _unprintable(char) else char for char in text[: 4 * limit])
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def _unprintable(char: str) -> bool:
    # Cc control, Cf direction marks, Cs lone surrogates: none can be shown, some can mislead.
    # The two joiners belong to the spelling of several scripts.
    return unicodedata.category(char) in ("Cc", "Cf", "Cs") and char not in "\u200c\u200d"


def listed(items: list[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + " and " + items[-1]
