from __future__ import annotations

import pytest

from gmm_dask.store.redact import Label, redact_url

SECRET = "s3cr3t-pass"


@pytest.mark.parametrize(("path", "shown"), [
    (f"s3://user:{SECRET}@bucket/x.zarr", "s3://bucket/x.zarr"),
    (f"https://host/x.zarr?sig={SECRET}", "https://host/x.zarr"),
    (f"https://host/x.zarr#{SECRET}", "https://host/x.zarr"),
    (f"zip://a.zarr::s3://k:{SECRET}@b/x.zip?t={SECRET}", "zip://a.zarr::s3://b/x.zip"),
    (f"https://{SECRET}@host/a@b.zarr", "https://host/a@b.zarr"),
])  # fmt: skip
def test_names_hold_no_secret(path: str, shown: str) -> None:
    assert redact_url(path) == shown
    label = Label(path, "obsm/X", {})
    assert str(label) == f"{shown}/obsm/X"
    assert SECRET not in label.scrub(f"403 for {path}: key {SECRET} refused, retry {path}")


@pytest.mark.parametrize("path", ["/data/odd?name#1@x", "memory://x", "a@b.zarr", "C:\\x?"])
def test_names_without_secrets_stay(path: str) -> None:
    assert redact_url(path) == path
    assert Label(path, "", {}).scrub(f"no {path}") == f"no {path}"


def test_options_are_scrubbed_at_any_depth() -> None:
    options = {"key": "AKIA1234", "client_kwargs": {"headers": [{"auth": SECRET}]}, "anon": False}
    scrubbed = Label("s3://b/x", "", options).scrub(f"AKIA1234 {SECRET} False s3://b/x")
    assert scrubbed == "*** *** False s3://b/x"
