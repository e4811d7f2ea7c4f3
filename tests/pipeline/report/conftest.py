from __future__ import annotations

from pathlib import Path

import pytest
import report_extremes
import report_samples
from report_pages import Page

from pipeline.report import Results, render


@pytest.fixture(scope="session")
def digits() -> Results:
    return report_samples.digits_results(sizes=(2, 5, 8, 9, 10, 12), n_init=3)


@pytest.fixture(scope="session")
def samples(digits: Results) -> dict[str, Results]:
    return {
        "digits": digits,
        "single": report_samples.single_results(),
        "line": report_samples.line_results(),
        "hostile": report_extremes.hostile_results(),
        "huge": report_extremes.huge_results(),
        "wide": report_extremes.huge_results(K=30, D=4000, n_candidates=3),
    }


@pytest.fixture(scope="session")
def pages(samples: dict[str, Results], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    folder: Path = tmp_path_factory.mktemp("reports")
    return {name: Page(render(value, folder / f"{name}.html")) for name, value in samples.items()}
