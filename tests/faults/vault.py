"""A store that wants a password, a token and a key, and quotes all of them when it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
from fsspec.spec import AbstractFileSystem

PASSWORD, TOKEN, KEY = "hunter2-password", "t0ken-of-the-store", "k3y-of-the-options"
SECRETS = (PASSWORD, TOKEN, KEY)
URL = f"vault://me:{PASSWORD}@store/{{name}}?token={TOKEN}"


class VaultError(Exception):
    """An error of the store's own library: neither an OSError nor a ValueError."""


class Vault(AbstractFileSystem):
    """Files of one folder, for those who bring the secrets."""

    protocol = "vault"
    cachable = False
    folder = Path()
    fails: Any = None
    """Makes the error that every read raises."""
    login = ""

    def __init__(self, secret: str = "", **options: Any) -> None:
        super().__init__(**options)
        assert secret == KEY, "the option was not revealed"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.partition("://")[2].rpartition("@")[2] if "://" in path else path

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        assert PASSWORD in path, "the login was lost"
        return {}

    def _local(self, path: str) -> Path:
        if self.fails is not None:
            raise self.fails(f"{path}: denied to me:{PASSWORD}, token {TOKEN}, secret {KEY}")
        return self.folder / self._strip_protocol(path).partition("?")[0].removeprefix("store/")

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        found = self._local(path)
        if not found.is_file():
            raise FileNotFoundError(path)
        return {"name": path, "size": found.stat().st_size, "type": "file", "ETag": "1"}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        names = sorted(f"store/{item.name}" for item in self._local("store/").iterdir())
        return [self.info(name) for name in names] if detail else names

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        return self._local(path).open(mode)


def install() -> None:
    """Make ``vault://`` known to fsspec."""
    fsspec.register_implementation("vault", Vault, clobber=True)
