"""Combinations of keys that are refused before any row is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from gmm_dask import ConfigError, law_of
from pipeline.config import angle_rules, cluster_rules, column_rules, droplet_rules
from pipeline.config.reader import Path, Problem
from pipeline.config.schema import Config


class Rule(NamedTuple):
    """Keys that go together, the first one named in the message, and what speaks against them."""

    keys: tuple[str, ...]
    against: Callable[[Config], str | None]


def _components(config: Config) -> str | None:
    model = config.model
    if model.n_components and model.components:
        return "not together with model.components, which says how many there are; keep one"
    if not model.n_components and not model.components:
        return "required: a number, a list such as [4, 8, 16] or a range such as 2..20"
    return None


def _only_droplets(key: str) -> Rule:
    def against(config: Config) -> str | None:
        if getattr(config.model, key) is None or config.model.components == "ddpcr":
            return None
        return "only together with model.components: ddpcr"

    return Rule((f"model.{key}", "model.components"), against)


def _noise(config: Config) -> str | None:
    noise = config.source.noise
    if noise is None:
        return None
    forms = ("std", "variance", "inverse_variance", "covariance")
    given = [form for form in forms if getattr(noise, form) is not None]
    if len(given) != 1:
        got = " and ".join(given) or "none of them"
        return f"needs exactly one of {', '.join(forms)}; got {got}"
    if noise.covariance is not None and noise.correlation is not None:
        return "a covariance holds the correlations already; leave correlation out"
    return None


def _steps(*names: str) -> Callable[[Config], bool]:
    return lambda config: any(step.name in names for step in config.transform)


def _noise_and_curves(config: Config) -> str | None:
    noise = config.source.noise
    if noise is None:
        return None
    for step in config.transform:
        with_error = step.columns is None or not set(step.columns) <= set(noise.exact)
        if step.name in ("log", "arcsinh") and with_error and step.noise != "delta":
            return (
                f"{step.name} and source.noise: errors are in source units; apply the step "
                f"upstream, drop noise, or add noise: delta to the options of {step.name}, which "
                "linearises it at each row"
            )
    return None


def _holes_and_pca(config: Config) -> str | None:
    if config.model.missing == "marginalize" and _steps("pca")(config):
        return "pca needs complete rows; use model.missing: error, or drop pca"
    return None


def _reductions_and_true_values(config: Config) -> str | None:
    words = config.output.columns if config.output is not False else ()
    if "deconvolved_mean" in words and _steps("pca")(config):
        return "deconvolved_mean has the columns of the source, of which pca leaves some out"
    return None


def _outliers(config: Config) -> str | None:
    words = config.output.columns if config.output is not False else ()
    if "outlier" not in words:
        return None
    if config.model.missing == "marginalize" or config.source.noise is not None:
        return (
            "outlier is by one density level for all rows; with missing values or errors each row "
            "has a level of its own. Write log_density instead"
        )
    return None


def _angles_and_steps(config: Config) -> str | None:
    angles = set(config.model.circular)
    for step in config.transform:
        touches = step.columns is None or bool(angles & set(step.columns))
        if angles and touches and step.name in ("log", "arcsinh", "pca"):
            return f"{step.name} cannot be applied to an angle (model.circular); limit its columns"
    return None


def _droplets_and_steps(config: Config) -> str | None:
    if config.model.components and _steps("log", "arcsinh", "pca")(config):
        return "droplets need their amplitudes; only standardize goes with model.components: ddpcr"
    return None


def _droplets_and_background(config: Config) -> str | None:
    if config.model.components and config.model.background != "none":
        return "not with model.components: ddpcr; rain shows in the output column ambiguous"
    return None


def _groups(config: Config) -> str | None:
    if config.model.weights_by == "group" and config.source.group is None:
        return "group needs source.group, the column that names the groups"
    return None


def _law(config: Config) -> str | None:
    weights = config.model.weights
    if config.model.components:
        return None
    try:
        law = law_of(weights)
        for K in config.model.n_components:
            law.n_free(K)
    except ConfigError as error:
        return str(error).removeprefix("weights: ")
    return None


def _frozen(config: Config) -> str | None:
    if config.model.frozen and config.model.start_from is None:
        return "the held values come from model.start_from; name the earlier model there"
    return None


def _hard_and_noise(config: Config) -> str | None:
    if config.model.assignment == "hard" and config.source.noise is not None:
        return "hard and source.noise: errors blur the labels; use soft, or leave the noise out"
    return None


def _standard_error(config: Config) -> str | None:
    if config.select.rule == "one_standard_error" and config.select.criterion != "held_out":
        return (
            f"one_standard_error needs select.criterion: held_out; {config.select.criterion} has"
            " no standard error"
        )
    return None


def _restarts_to_compare(config: Config) -> str | None:
    model = config.model
    if config.select.criterion != "stability" or not model.n_components:
        return None
    if model.n_init < 2 or max(model.n_components) < 2:
        return (
            "stability compares the labels of restarts: it needs model.n_init of at least 2 and "
            f"model.n_components of at least 2; they are {model.n_init} and up to "
            f"{max(model.n_components)}"
        )
    return None


def _builtin(config: Config) -> str | None:
    bundled = [path.startswith("builtin:") for path in config.source.path]
    chosen = config.source.format
    if any(bundled) and (len(bundled) > 1 or chosen not in ("auto", "builtin")):
        return "a bundled data set stands alone, with source.format: auto"
    if chosen == "builtin" and not any(bundled):
        return "source.format: builtin needs a path such as builtin:digits"
    return None


def _key(config: Config) -> str | None:
    if config.source.key is not None and config.source.format in ("parquet", "csv", "npy"):
        return f"an array inside h5ad or zarr; source.format is {config.source.format}"
    return None


def _write_back(config: Config) -> str | None:
    if config.output is False or config.output.write_back is None:
        return None
    if config.output.write_back.obs is None and config.output.write_back.obsm is None:
        return "needs a name, as in write_back: {obs: gmm}"
    if config.source.format not in ("auto", "anndata", "zarr"):
        return f"writes into AnnData or zarr; source.format is {config.source.format}"
    return None


def _needs_noise(config: Config) -> str | None:
    columns = config.output.columns if config.output is not False else ()
    if "deconvolved_mean" in columns and config.source.noise is None:
        return "deconvolved_mean needs source.noise"
    if "imputed" in columns and config.model.missing != "marginalize":
        return "imputed needs model.missing: marginalize"
    return None


RULES = (
    Rule(("model.n_components", "model.components"), _components),
    *(_only_droplets(key) for key in ("copies", "weight_tail", "linkage")),
    Rule(("source.noise",), _noise),
    Rule(("transform", "source.noise"), _noise_and_curves),
    Rule(("transform", "model.missing"), _holes_and_pca),
    Rule(("output.columns", "transform"), _reductions_and_true_values),
    Rule(("output.columns", "model.missing", "source.noise"), _outliers),
    Rule(("transform", "model.circular"), _angles_and_steps),
    Rule(("transform", "model.components"), _droplets_and_steps),
    Rule(("model.background", "model.components"), _droplets_and_background),
    Rule(("model.weights", "model.n_components"), _law),
    Rule(("model.weights_by", "source.group"), _groups),
    Rule(("model.frozen", "model.start_from"), _frozen),
    Rule(("model.assignment", "source.noise"), _hard_and_noise),
    Rule(("select.rule", "select.criterion"), _standard_error),
    Rule(("select.criterion", "model.n_init", "model.n_components"), _restarts_to_compare),
    Rule(("source.path", "source.format"), _builtin),
    Rule(("source.key", "source.format"), _key),
    Rule(("output.write_back", "source.format"), _write_back),
    Rule(("output.columns", "source.noise", "model.missing"), _needs_noise),
    *(Rule(keys, against) for keys, against in cluster_rules.RULES),
    *(Rule(keys, against) for keys, against in column_rules.RULES),
    *(Rule(keys, against) for keys, against in angle_rules.RULES),
    *(Rule(keys, against) for keys, against in droplet_rules.RULES),
)


def broken_rules(config: Config, doubtful: set[Path]) -> Iterator[Problem]:
    """Yield what speaks against combinations, unless a key in them is wrong already.

    Parameters
    ----------
    config : Config
        With defaults in place of keys that could not be read.
    doubtful : set of paths
        These keys.
    """
    for keys, against in RULES:
        paths = [tuple(key.split(".")) for key in keys]
        if any(_overlap(path, bad) for path in paths for bad in doubtful):
            continue
        message = against(config)
        if message is not None:
            yield Problem(paths[0], message)


def _overlap(path: Path, other: Path) -> bool:
    length = min(len(path), len(other))
    return path[:length] == other[:length]
