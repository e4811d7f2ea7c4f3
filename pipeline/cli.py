"""The commands: they parse, call `pipeline.run`, print, and end with a documented exit code."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.exits import FAULT, RESOURCE, exit_code
from pipeline.output_json import dump, print_json
from pipeline.signals import terminable

app = typer.Typer(
    name="gmm-dask",
    help="Gaussian mixtures for data that do not fit one machine: one YAML file in, a fitted, "
    "checkpointed, reported mixture out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Target = Annotated[str, typer.Argument(help="A configuration (YAML) or the folder of a run.")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json-file", help="Write the JSON object here, on failure too.")
]
Answer = tuple[int, str, dict[str, Any]]


@app.command()
def run(
    config: Target,
    set_: Sets = None,
    fresh: Annotated[bool, typer.Option(help="Start over; the old attempt is kept.")] = False,
    resume: Annotated[str | None, typer.Option(help="auto, never or require.")] = None,
    as_json: Json = False,
    json_file: JsonFile = None,
) -> None:
    """Fit, select, write and report; go on where an earlier attempt stopped."""

    def work() -> Answer:
        from pipeline.manifest import summary
        from pipeline.run.job import run as run_job
        from pipeline.run.showing import ending_of

        loaded = load_config(config, set_ or [])
        code, manifest = run_job(loaded, fresh=fresh, resume=resume, command=command())
        return code, ending_of(manifest, code), summary(manifest)

    finish(work, as_json, json_file)


@app.command()
def plan(
    config: Target, set_: Sets = None, as_json: Json = False, json_file: JsonFile = None
) -> None:
    """Say what a run would do: rows, fits, blocks, memory. Starts nothing."""

    def work() -> Answer:
        from pipeline.run.planning import plan as make_plan

        lines, facts = make_plan(load_config(config, set_ or []))
        text = "\n".join(f"{name:<9} {value}" for name, value in lines)
        return 0, f"{text}\nnothing started; run with: gmm-dask run {config}", facts

    finish(work, as_json, json_file)


@app.command()
def validate(
    config: Target, set_: Sets = None, as_json: Json = False, json_file: JsonFile = None
) -> None:
    """Check a configuration, without looking at the data."""

    def work() -> Answer:
        loaded = load_config(config, set_ or [])
        return 0, f"{config} is valid", {"valid": True, "config": loaded.resolved()}

    finish(work, as_json, json_file)


@app.command()
def status(
    target: Target,
    require: Annotated[str | None, typer.Option(help="finished: a gate for schedulers.")] = None,
    as_json: Json = False,
    json_file: JsonFile = None,
) -> None:
    """Say how a run stands, by its files alone."""

    def work() -> Answer:
        from pipeline.run.status import status as read_status

        return read_status(run_folder(target), checked_requirement(require))

    finish(work, as_json, json_file)


@app.command()
def predict(
    target: Target,
    data: Annotated[list[str], typer.Argument(help="New rows: files, a folder or a glob.")],
    out: Annotated[Path, typer.Option(help="Folder of the new assignments.")],
    set_: Sets = None,
    as_json: Json = False,
    json_file: JsonFile = None,
) -> None:
    """Label new rows with the model of a run."""

    def work() -> Answer:
        from pipeline.run.predicting import predict as label_rows

        return label_rows(run_folder(target), data, out, set_ or [], command())

    finish(work, as_json, json_file)


@app.command()
def diagnose(
    target: Annotated[
        list[str],
        typer.Argument(help="A run (its folder or YAML); with --model: new rows, files or globs."),
    ],
    model: Annotated[str | None, typer.Option(help="A run whose model judges new rows.")] = None,
    fail_on: Annotated[str | None, typer.Option(help="alarm or refit: then exit code 6.")] = None,
    set_: Sets = None,
    as_json: Json = False,
    json_file: JsonFile = None,
) -> None:
    """Say what a fit means; or, with --model, whether it still describes new rows."""

    def work() -> Answer:
        from pipeline.run.drifting import diagnose_run, drift_of

        if model is None:
            return diagnose_run(only_run(target, fail_on), set_ or [])
        return drift_of(run_folder(model), target, set_ or [], fail_on)

    finish(work, as_json, json_file)


@app.command()
def report(target: Target, as_json: Json = False, json_file: JsonFile = None) -> None:
    """Make the report again from stored results: no data, no cluster."""

    def work() -> Answer:
        from pipeline.run.reporting import rebuild_report

        path = rebuild_report(run_folder(target))
        return 0, f"report      {path}", {"report": str(path)}

    finish(work, as_json, json_file)


@app.command()
def schema(
    as_json: Json = False,  # noqa: ARG001  JSON it is anyway; every command has the option
    json_file: JsonFile = None,
) -> None:
    """Print the JSON schema of the configuration, for editors."""
    from pipeline.config import Config

    written = Config.json_schema()
    if json_file is not None:
        dump(written, json_file)
    print_json(written)


def load_config(target: str, overrides: list[str]) -> Any:
    """Return the configuration of a YAML file, or that of a run folder."""
    from pipeline.config import load
    from pipeline.run.settings import go_where_it_started, stored_config

    if not (Path(target) / "run.json").is_file():
        return load(target, overrides)
    config = stored_config(target, overrides)
    go_where_it_started(target, stored_config(target))
    return config


def run_folder(target: str) -> str:
    """Return the run folder of a target, which may be its configuration."""
    if Path(target).is_dir() or not Path(target).is_file():
        return target
    from pipeline.config import load

    return str(load(target).run.dir)


def only_run(targets: list[str], fail_on: str | None) -> str:
    """Return the folder of the one run that `diagnose` is about."""
    from gmm_dask import ConfigError

    if len(targets) != 1 or fail_on is not None:
        raise ConfigError("diagnose takes one run; to judge new rows, name its run by --model")
    return run_folder(targets[0])


def checked_requirement(require: str | None) -> str | None:
    """Return the requirement, or raise ConfigError if it is unknown."""
    from gmm_dask import ConfigError

    if require not in (None, "finished"):
        raise ConfigError(f"--require {require}: only finished can be required")
    return require


def command() -> str:
    """Return the command line as typed, without what may be secret."""
    return shlex.join(["gmm-dask", *(_shown(word) for word in sys.argv[1:])])


def _shown(word: str) -> str:
    """Return a word of the command line; options of a store or a cluster lose their value."""
    from pipeline.config import mask_address

    flag = "--set=" if word.startswith("--set=") else ""
    key, equals, _ = word.removeprefix(flag).partition("=")
    return f"{flag}{key}=***" if equals and "option" in word else mask_address(word)


def finish(work: Callable[[], Answer], as_json: bool, json_file: Path | None) -> None:
    """Do the work, print its text or JSON, and exit with its code."""
    target = None
    try:
        target = prepared(json_file) if json_file is not None else None
        code, text, facts = work()
    except (typer.Exit, SystemExit):
        raise
    except BaseException as error:  # the one place where an error becomes an exit code
        code, text, facts = _failed(error)
        print(text, file=sys.stderr)
        text = ""
    facts = {"exit_code": code, **facts}
    if target is not None:
        code = _dumped(facts, target, code)
    if as_json:
        print_json(facts)
    elif text:
        print(text)
    raise typer.Exit(code)


def prepared(json_file: Path) -> Path:
    """Return the absolute path of ``--json-file``, once it is sure that it can be written.

    Raises
    ------
    ConfigError
        It cannot: to be told before hours of work, not after them.
    """
    from gmm_dask import ConfigError

    path = json_file.absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writable = os.access(path.parent, os.W_OK) and not path.is_dir()
    except OSError:
        writable = False
    if not writable:
        raise ConfigError(f"--json-file {json_file}: cannot be written there; name another file")
    return path


def _dumped(facts: dict[str, Any], json_file: Path, code: int) -> int:
    """Write the JSON object and return the exit code, which a failure to write changes."""
    try:
        dump(facts, json_file)
    except OSError as error:
        print(f"error: --json-file {json_file}: cannot be written: {error}", file=sys.stderr)
        return code or RESOURCE
    return code


def _failed(error: BaseException) -> Answer:
    from pipeline.config import mask_text

    code = exit_code(error)
    if code == FAULT:
        detail = mask_text("".join(traceback.format_exception(error)))
        text = f"{detail}\nerror: a fault of gmm-dask, not of yours: please report the lines above"
    else:
        first, *rest = (str(error) or type(error).__name__).split("\n")
        text = "\n".join([f"error: {first} (exit {code})", *rest])
    return code, text, {"error": mask_text(str(error)) or type(error).__name__}


def main() -> None:
    """Run the command line."""
    with terminable():
        app()
