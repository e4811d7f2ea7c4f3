"""Rules on droplets: what `model.components: ddpcr` needs, and what it does not go with."""

from __future__ import annotations

from pipeline.config.schema import Config


def _copies(config: Config) -> str | None:
    copies, columns = config.model.copies, config.source.columns
    if not config.model.components or config.model.n_components:
        return None
    if not copies:
        return "needed: the copies told apart in each column, as in {fam: 0..1, hex: 0..1}"
    if len(copies) > 2:
        return f"{len(copies)} columns came; one target or two are fitted"
    for column, levels in copies.items():
        if levels != tuple(range(len(levels))) or not 2 <= len(levels) <= 21:
            return f"{column}: copies run from 0 to at least 1 and at most 20, as in 0..1"
    if columns is None or set(columns) != set(copies):
        return "needs the columns of source.columns, all of them: each is the dye of one target"
    return None


def _weights(config: Config) -> str | None:
    model = config.model
    if not model.components or model.weights == "poisson":
        return None
    if "weights" not in model.model_fields_set:
        return None
    return "components: ddpcr has poisson weights; the tail is model.weight_tail"


def _refused(config: Config) -> str | None:
    model = config.model
    if not model.components:
        return None
    asked = {
        "covariance_type: spherical": "spherical" in model.covariance_type,
        "more than one covariance_type": len(model.covariance_type) > 1,
        "covariance_prior": model.covariance_prior,
        "circular": bool(model.circular),
        "frozen": bool(model.frozen),
        "start_from": model.start_from is not None,
        "assignment: hard": model.assignment == "hard",
        "missing: marginalize": model.missing == "marginalize",
        "source.noise": config.source.noise is not None,
        "criterion: stability": config.select.criterion == "stability",
        "criterion: held_out": config.select.criterion == "held_out",
    }
    bad = [word for word, came in asked.items() if came]
    return f"ddpcr does not go with {bad[0]}; take one of them out" if bad else None


def _concentration(config: Config) -> str | None:
    section = config.diagnose
    if section is False or section.concentration is None or config.model.components:
        return None
    return "concentrations need model.components: ddpcr"


RULES = (
    (("model.copies", "model.components", "source.columns"), _copies),
    (("model.weights", "model.components"), _weights),
    (("model.components",), _refused),
    (("diagnose.concentration", "model.components"), _concentration),
)
