from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples at every run: a commit that was green stays green. To look for others:
# HYPOTHESIS_PROFILE=search pytest tests/...
settings.register_profile("same", derandomize=True, database=None)
settings.register_profile("search", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data, or a skip that says why."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("GMM_DASK_DATA", default))
    if not (folder / "classic" / "faithful.csv").is_file():
        pytest.skip(f"real data not found in {folder} (set GMM_DASK_DATA)")
    return folder
