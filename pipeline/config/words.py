"""What to say about a key that does not exist: the near one, its right place, or the usual word."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel

# Words of other tools and of habit, with what to write here. A word under a section's name holds
# there; one under "" holds anywhere. Case does not matter.
USUAL: dict[str, dict[str, str]] = {
    "": {
        **dict.fromkeys(("seed", "random_seed", "rng"), "model.random_state: 0"),
        **dict.fromkeys(("k", "n_clusters", "clusters", "n_comp"), "model.n_components: 8"),
        **dict.fromkeys(("obsm", "use_rep", "obsm_key", "rep"), "source.key: obsm/X_pca"),
        "layer": "source.key: layers/scaled",
        **dict.fromkeys(("n_restarts", "restarts", "n_starts"), "model.n_init: 5"),
        **dict.fromkeys(("n_pcs", "pca"), "transform: [pca: 20]"),
        **dict.fromkeys(("arcsinh", "asinh"), "transform: [arcsinh: {cofactor: 150}]"),
        **dict.fromkeys(
            (
                "preprocess",
                "preprocessing",
                "transforms",
                "steps",
                "scale",
                "scaler",
                "standardize",
            ),
            "transform: [standardize]",
        ),
        **dict.fromkeys(("outdir", "out_dir", "output_dir", "workdir"), "run.dir: runs/{name}"),
        **dict.fromkeys(
            ("walltime", "queue", "account"), 'cluster.options: {walltime: "04:00:00"}'
        ),
        **dict.fromkeys(("workers", "n_procs", "n_jobs"), "cluster.n_workers: 4"),
        **dict.fromkeys(("mem", "memory", "ram"), "cluster.memory_limit: 16GiB"),
        **dict.fromkeys(("threads", "nthreads", "cores"), "cluster.threads_per_worker: 4"),
        "resume_from": "run.resume: auto",
    },
    "run": {
        **dict.fromkeys(("folder", "directory", "path"), "run.dir: runs/{name}"),
        **dict.fromkeys(("id", "run_id", "title"), "run.name: my-run"),
    },
    "source": {
        **dict.fromkeys(("file", "filename", "url", "uri", "data", "input"), "source.path: ..."),
        **dict.fromkeys(("kind", "type"), "source.format: parquet"),
        **dict.fromkeys(("features", "variables", "cols", "usecols"), "source.columns: [...]"),
        **dict.fromkeys(("query", "where", "cut", "select"), 'source.filter: "x < 1"'),
        **dict.fromkeys(("weight", "weights", "sample_weights"), "source.sample_weight: column"),
        **dict.fromkeys(("error", "errors", "sigma", "uncertainty"), "source.noise: {std: ...}"),
        **dict.fromkeys(("na_values", "null_values", "missing"), "source.missing_values: [-999]"),
        **dict.fromkeys(("nrows", "n_rows", "head", "max_rows"), "source.limit: 1000"),
        **dict.fromkeys(("ids", "id_column", "index"), "source.id: column"),
        **dict.fromkeys(("dataset", "array", "group_path"), "source.key: X"),
        **dict.fromkeys(("batch", "plate", "well", "groups"), "source.group: column"),
    },
    "transform": {
        **dict.fromkeys(("scale", "scaler", "zscore", "z_score", "normalize"), "standardize"),
        "asinh": "arcsinh: {cofactor: 150}",
        "svd": "pca: 20",
    },
    "model": {
        **dict.fromkeys(("type", "kind", "covariance", "cov_type"), "model.covariance_type: full"),
        **dict.fromkeys(("init", "initialization", "init_method"), "model.init_params: auto"),
        **dict.fromkeys(("max_iterations", "n_iter", "epochs"), "model.max_iter: 1000"),
        **dict.fromkeys(("eps", "tolerance", "threshold"), "model.tol: 1e-6"),
        **dict.fromkeys(("reg", "regularization", "floor"), "model.reg_covar: 1e-6"),
        **dict.fromkeys(("warm_start", "init_from"), "model.start_from: runs/x/model.zarr"),
        "temperature": "model.assignment: soft",
    },
    "select": dict.fromkeys(("metric", "score", "criteria", "by"), "select.criterion: bic"),
    "checkpoint": dict.fromkeys(("interval", "frequency", "period"), "checkpoint.every: 60s"),
    "cluster": {
        **dict.fromkeys(("kind", "backend"), "cluster.type: local"),
        **dict.fromkeys(("scheduler", "host", "url"), "cluster.address: tls://host:8786"),
        "scale": "cluster.n_workers: 4",
        **{
            option: f"cluster.options: {{{option}: ...}}"
            for option in ("project", "partition", "interface", "processes", "dashboard_address")
        },
    },
    "output": {
        **dict.fromkeys(("kind", "type"), "output.format: parquet"),
        **dict.fromkeys(("file", "folder"), "output.path: {dir}/assignments"),
        "in_place": "output.write_back: {obs: gmm, in_place: true}",
    },
    "report": dict.fromkeys(("color_by", "colour", "color"), "report.colour_by: [column]"),
}


def known_keys(section: type[BaseModel], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every key of a section and of the sections in it."""
    for key, field in section.model_fields.items():
        yield (*prefix, key)
        for inner in _sections(field.annotation):
            yield from known_keys(inner, (*prefix, key))


def section_at(root: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel] | None:
    """Find the section class at a path, list positions left aside."""
    section = root
    for part in path:
        if isinstance(part, int):
            continue
        field = section.model_fields.get(part)
        inner = next(_sections(field.annotation), None) if field else None
        if inner is None:
            return None
        section = inner
    return section


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _sections(inner)


def no_such_key(root: type[BaseModel], path: Sequence[str | int]) -> str:
    """Say what to write instead of the key at the end of ``path``."""
    *above, last = path
    key = str(last)
    section = section_at(root, above)
    here = list(section.model_fields) if section else []
    usual = _usual(above, key)
    noun = "step" if len(above) == 2 and above[0] == "transform" else "key"
    if usual:
        return f"no such {noun}; write {usual}"
    if ":" in key:
        return f"no such {noun}; a space is missing after the colon"
    if not here:
        return f"no such {noun}; it takes no options"
    return f"no such {noun}. " + (_elsewhere(root, key) or near(key, here) or _listed(here))


def _usual(above: Sequence[str | int], key: str) -> str | None:
    section = str(above[0]) if above else ""
    word = key.lower()
    if section == "transform":
        return USUAL["transform"].get(word)
    return USUAL.get(section, {}).get(word) or USUAL[""].get(word)


def _elsewhere(root: type[BaseModel], key: str) -> str | None:
    places = [".".join(path) for path in known_keys(root) if path[-1] == key]
    if not places or len(places) > 4 or "transform" in places[0].split("."):
        return None
    if places == [key]:
        return f"It belongs to the top level of the file, as {key}."
    return f"It belongs to {' or '.join(places)}."


def near(word: str, words: Sequence[str]) -> str | None:
    """Ask whether the nearest of some words was meant."""
    found = difflib.get_close_matches(word.lower(), words, n=1)
    return f"Did you mean {found[0]}?" if found else None


def _listed(words: Sequence[str]) -> str:
    return f"Known here: {', '.join(words)}."
