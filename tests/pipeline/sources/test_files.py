from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest

from gmm_dask import ConfigError, DataError, ResourceError
from pipeline.sources import SourceSpec, open_table
from pipeline.sources.content import identities
from pipeline.sources.files import File, find_files, redacted, resolved
from pipeline.sources.trouble import translated

PARQUET = (".parquet",)


def touched(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(folder: Path, *paths: str) -> list[str]:
    found = find_files([str(folder / path) for path in paths], {}, PARQUET, "parquet")
    return [str(Path(file.url).relative_to(folder)) for file in found]


def test_files_folders_globs_and_lists(tmp_path: Path) -> None:
    touched(tmp_path, "k=2/b.parquet", "k=1/a.parquet", "_metadata", ".hidden.parquet", "x.csv")
    touched(tmp_path, "_temporary/c.parquet", "k=1/[1].parquet")
    assert names(tmp_path, "") == ["k=1/[1].parquet", "k=1/a.parquet", "k=2/b.parquet"]
    assert names(tmp_path, "k=*/*.parquet") == names(tmp_path, "")
    assert names(tmp_path, "**/a.parquet") == ["k=1/a.parquet"]
    assert names(tmp_path, "k=2/b.parquet", "k=1/a.parquet", "k=2") == [
        "k=2/b.parquet",
        "k=1/a.parquet",
    ]
    assert names(tmp_path, "k=1/[1].parquet") == ["k=1/[1].parquet"]
    assert names(tmp_path, "x.csv") == ["x.csv"]


def test_nothing_found_tells_what_is_near(tmp_path: Path) -> None:
    touched(tmp_path, "atlas.parquet", "other.txt")
    with pytest.raises(DataError, match=r"no such file\. Its folder has .*Did you mean atlas\.par"):
        names(tmp_path, "atlsa.parquet")
    with pytest.raises(DataError, match="no such file, nor its folder"):
        names(tmp_path, "gone/atlas.parquet")
    with pytest.raises(DataError, match="no file matches"):
        names(tmp_path, "q*.parquet")
    (tmp_path / "texts").mkdir()
    touched(tmp_path, "texts/a.txt")
    with pytest.raises(DataError, match=r"no parquet file \(\.parquet\) in .*; it has a\.txt"):
        names(tmp_path, "texts")


def test_paths_are_relative_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched(tmp_path, "in/a.parquet")
    monkeypatch.chdir(tmp_path)
    (file,) = find_files(["in"], {}, PARQUET, "parquet")
    assert (file.url, file.shown) == (str(tmp_path / "in/a.parquet"), "in/a.parquet")
    assert find_files([f"file://{tmp_path}/in"], {}, PARQUET, "parquet") == (file,)


def test_environment_values_are_read_at_use_and_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STORE_SECRET", "hunter22")
    options = {"secret": "env:STORE_SECRET", "client_kwargs": {"token": "env:STORE_SECRET"}, "n": 1}
    assert resolved(options) == {
        "secret": "hunter22",
        "client_kwargs": {"token": "hunter22"},
        "n": 1,
    }
    file = File("memory://x/a.parquet", 1, "", options)
    assert b"hunter22" not in pickle.dumps(file)
    assert "STORE_SECRET" not in repr(file) + repr(SourceSpec("x", storage_options=options))
    with (
        pytest.raises(ResourceError) as caught,
        translated(file.shown, "a file", file.secrets),
    ):
        raise OSError(5, "login with hunter22 failed")
    assert "hunter22" not in str(caught.value)
    assert "***" in str(caught.value)
    monkeypatch.delenv("STORE_SECRET")
    with pytest.raises(ConfigError, match=r"client_kwargs\.token: environment variable STORE_SEC"):
        resolved({"client_kwargs": {"token": "env:STORE_SECRET"}})


def test_credentials_in_urls_are_redacted() -> None:
    url = "ftp://user:pa55word@host/a/b.parquet?sig=abcdef"
    assert redacted(url) == "ftp://host/a/b.parquet"
    file = File(url, 3, "t")
    text = file.shown + repr(file) + repr(identities([file]))
    assert "pa55word" not in text
    assert "abcdef" not in text
    assert set(file.secrets) == {"user:pa55word", "pa55word", "sig=abcdef", "abcdef"}


def test_protocols_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"foo://b/x\.parquet cannot be opened: Protocol not known"
    ):
        open_table(SourceSpec("foo://user:secret@b/x.parquet"), tmp_path)


@pytest.fixture
def memory() -> fsspec.AbstractFileSystem:
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/bucket", recursive=True)


@pytest.mark.parametrize(
    ("kind", "order"), [("parquet", ""), ("csv", ""), ("npy", "C"), ("npy", "F"), ("h5ad", "")]
)
def test_formats_behind_urls(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, kind: str, order: Any
) -> None:
    rows = pd.DataFrame({"a": np.arange(50) * 0.5, "b": np.arange(50) % 7})
    local = tmp_path / f"x.{kind}"
    if kind == "parquet":
        rows.to_parquet(local)
    elif kind == "csv":
        rows.to_csv(local, index=False)
    elif kind == "npy":
        np.save(local, np.asarray(rows, order=order))
    else:
        anndata = pytest.importorskip("anndata")
        anndata.AnnData(obsm={"X_a": rows.to_numpy()}).write_h5ad(local)
    memory.pipe(f"/bucket/rows/x.{kind}", local.read_bytes())
    for path in (f"memory://bucket/rows/x.{kind}", "memory://bucket/rows", "memory://bucket/*/x.*"):
        settings = {"format": "anndata"} if kind == "h5ad" else {}
        table = open_table(SourceSpec(path, **settings), tmp_path / "scratch").ingest()
        np.testing.assert_array_equal(table.read(7, 31).values, rows[7:31])
    with pytest.raises(DataError, match=r"memory://bucket/rows/y\.csv: no such file"):
        open_table(SourceSpec("memory://bucket/rows/y.csv"), tmp_path)


def test_a_changed_remote_file_is_noticed(
    memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    text = b"a\n1.5\n"
    memory.pipe("/bucket/x.csv", text)
    table = open_table(SourceSpec("memory://bucket/x.csv"), tmp_path / "scratch")
    memory.pipe("/bucket/x.csv", text * 2)
    with pytest.raises(DataError, match=r"memory://bucket/x\.csv: changed while it was in use"):
        table.ingest()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a\n1\n")
    path.chmod(0)
    with pytest.raises(ResourceError, match="no permission to read it"):
        open_table(SourceSpec(str(path)), tmp_path)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (PermissionError(13, "denied"), ResourceError, "no permission"),
        (OSError(5, "Input/output error"), ResourceError, "storage failed"),
        (OSError("Couldn't deserialize thrift"), DataError, "damaged, or not a parquet file"),
        (FileNotFoundError(2, "gone"), DataError, "no such file"),
        (ImportError("Install s3fs"), ConfigError, "Install s3fs"),
        (ValueError("a\nb"), DataError, r"\(a\)$"),
        (DataError("as it is"), DataError, "^as it is$"),
    ],
)
def test_foreign_errors_are_translated(error: Exception, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text) as caught, translated("x.parquet", "a parquet file"):
        raise error
    assert caught.value is error or caught.value.__suppress_context__


def test_errors_of_our_own_making_are_not_hidden() -> None:
    with pytest.raises(TypeError), translated("x", "a file"):
        raise TypeError("a slip in the program")
