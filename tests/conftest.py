from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples at every run: a commit that was green stays green. To look for others:
# HYPOTHESIS_PROFILE=search pytest tests/...
settings.register_profile("same", derandomize=True, database=None)
settings.register_profile("search", derandomize=False)
# A shell without a terminal starts what runs in the background deaf to Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run studies of many seconds too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="a study of many seconds: --slow"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data, or a skip that says why."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("GMM_DASK_DATA", default))
    if not (folder / "classic" / "faithful.csv").is_file():
        pytest.skip(f"real data not found in {folder} (set GMM_DASK_DATA)")
    return folder
