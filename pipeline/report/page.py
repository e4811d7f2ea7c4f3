"""The page: figures and tables in the order of a reader's questions, written as one file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from gmm_dask import ResourceError
from pipeline.report.block import Block
from pipeline.report.curves import curve_blocks
from pipeline.report.line import line_block
from pipeline.report.pairs import MANY_COMPONENTS, embedding_block, pair_blocks
from pipeline.report.provenance import Fact, config_text, facts_line, glance, provenance, row_facts
from pipeline.report.results import Results
from pipeline.report.rows import log_density_block, passes_block, probability_block
from pipeline.report.sentences import chosen_sentence, warning_sentences
from pipeline.report.shape import means_block, overlap_block, weights_block
from pipeline.report.starts import starts_block, trace_block
from pipeline.report.tables import (
    MAX_COLUMNS,
    CandidateTable,
    CompositionTable,
    candidate_table,
    component_table,
    composition_table,
)
from pipeline.report.tails import tails_block
from pipeline.report.widths import width_table
from pipeline.report.words import name

MAX_COMPOSITIONS = 8


@dataclass(frozen=True)
class Section:
    """A part of the page below the first screen."""

    title: str
    blocks: tuple[Block, ...]
    candidates: CandidateTable | None = None
    compositions: tuple[CompositionTable, ...] = ()
    facts: tuple[Fact, ...] = ()


def page_text(results: Results) -> str:
    """Return the whole page as HTML.

    Parameters
    ----------
    results : Results
    """
    hero, others = _component_blocks(results)
    return _template().render(
        title=name(results.run.title or results.run.name, 200),
        run=results.run,
        sentence=chosen_sentence(results),
        facts_line=facts_line(results),
        warnings=warning_sentences(results),
        hero=hero,
        glance=glance(results),
        components=component_table(results),
        several=len(results.components) > 1,
        widths=width_table(results),
        sections=_sections(results, others),
        provenance=provenance(results),
        config=config_text(results.run.config),
    )


@lru_cache(maxsize=1)
def _template() -> Template:
    loader = PackageLoader("pipeline.report", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("report.html.j2")


def _component_blocks(results: Results) -> tuple[Block, list[Block]]:
    """Return the figure of the first screen and the further ones of the components."""
    pairs = pair_blocks(results)
    line = line_block(results)
    blocks = ([line] if line else []) + pairs
    many = len(results.components) > MANY_COMPONENTS
    if many or not blocks or len(results.source.columns) > MAX_COLUMNS:
        first = many or not blocks
        means = means_block(results, first)
        blocks = [means, *blocks] if first else [*blocks, means]
    overlap = overlap_block(results)
    shape = [weights_block(results), *([overlap] if overlap else [])]
    return blocks[0], [*shape, *blocks[1:]]


def _sections(results: Results, components: list[Block]) -> list[Section]:
    choice = [*curve_blocks(results), starts_block(results), trace_block(results)]
    rows = [probability_block(results), tails_block(results), log_density_block(results)]
    tables = tuple(
        composition_table(results, table) for table in results.compositions[:MAX_COMPOSITIONS]
    )
    space = embedding_block(results, results.embedding) if results.embedding else None
    sections = [
        Section(_choice_title(results), _given(choice), candidates=candidate_table(results)),
        Section("The components", _given(components)),
        Section("The rows", _given(rows)),
        Section("What the components hold", _given([space]), compositions=tables),
        Section("The run", _given([passes_block(results)]), facts=row_facts(results)),
    ]
    return [part for part in sections if part.blocks or part.compositions or part.facts]


def _choice_title(results: Results) -> str:
    return "How many components" if len(results.candidates) > 1 else "The fit"


def _given(blocks: list[Block | None] | list[Block]) -> tuple[Block, ...]:
    return tuple(block for block in blocks if block is not None)


def write_page(results: Results, path: Path) -> Path:
    """Write the page aside, then rename it to `path`, so that no reader sees half of it.

    Raises
    ------
    ResourceError
        When the folder cannot be written.
    """
    text = page_text(results)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A lone surrogate in a file name has no UTF-8; a question mark stands for it.
        aside.write_bytes(text.encode("utf-8", errors="replace"))
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise ResourceError(
            f"report: {path} could not be written ({error.strerror}). Free space or set report.path"
            ", then run: gmm-dask report"
        ) from error
    return path
