"""Secrets: read from the environment when used, masked wherever a configuration is shown."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from gmm_dask import ConfigError

MASK = "***"
_ENV = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
# user:password@ before a host; a password may hold slashes, a port followed by a path may not.
_CREDENTIALS = re.compile(r"://(?:[^/@\s]*@|(?![^/@:\s]*:[0-9]+/)[^/@:\s]*:[^@\s]*@)")
_LOGIN = re.compile(r"://[^/@\s'\"]*@")
_QUERY = re.compile(
    r"([?&][^=&\s'\"]*(?:pass|secret|token|credential|key|auth|sig|x-amz|x-goog)[^=&\s'\"]*=)"
    r"[^&\s'\"]+",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(
    r"pass|secret|token|credential|api_?key|access_?key|account_?key|auth|^key$|sig|x-amz|x-goog",
    re.IGNORECASE,
)


def reveal(options: Mapping[str, Any], where: str = "source.storage_options") -> dict[str, Any]:
    """Replace each value ``env:NAME`` by the environment variable, at any depth.

    Parameters
    ----------
    options : mapping
        As they stand in the configuration.
    where : str
        Dotted path of the options, for messages.

    Raises
    ------
    ConfigError
        When a variable is not set, or a value was masked when the configuration was stored.
    """
    return {key: _reveal(value, f"{where}.{key}") for key, value in options.items()}


def _reveal(value: Any, where: str) -> Any:
    if isinstance(value, Mapping):
        return reveal(value, where)
    if isinstance(value, list | tuple):
        return [_reveal(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if value == MASK:
        raise ConfigError(f"{where}: its value was not stored; use the file, or write env:NAME")
    if not isinstance(value, str) or not value.startswith("env:"):
        return value
    match = _ENV.fullmatch(value)
    if match is None:
        raise ConfigError(f"{where}: after env: comes the name of a variable, as in env:TOKEN")
    if match[1] not in os.environ:
        raise ConfigError(f"{where}: the environment variable {match[1]} is not set")
    return os.environ[match[1]]


def mask_all(value: Any) -> Any:
    """Mask every text and number except ``env:NAME``."""
    if isinstance(value, dict):
        return {key: mask_all(item) for key, item in value.items()}
    if isinstance(value, list):
        return [mask_all(item) for item in value]
    if value is None or isinstance(value, bool) or _is_reference(value):
        return value
    return MASK


def mask_named(value: Any) -> Any:
    """Mask values whose key sounds like a secret, such as ``password`` or ``token``."""
    if isinstance(value, list):
        return [mask_named(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: mask_all(item) if _SECRET_NAME.search(key) else mask_named(item)
        for key, item in value.items()
    }


def mask_addresses(value: Any) -> Any:
    """Mask credentials inside addresses, at any depth."""
    if isinstance(value, dict):
        return {key: mask_addresses(item) for key, item in value.items()}
    if isinstance(value, list):
        return [mask_addresses(item) for item in value]
    return mask_address(value) if isinstance(value, str) else value


def mask_address(address: str) -> str:
    """Mask user, password and signed query of an address such as ``s3://key:secret@bucket``."""
    if "://" not in address:
        return address
    bare = _CREDENTIALS.sub(f"://{MASK}@", address)
    front, mark, query = bare.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    if not any(_SECRET_NAME.search(key) for key, _ in pairs):
        return bare
    shown = [(key, MASK if _SECRET_NAME.search(key) else item) for key, item in pairs]
    return f"{front}{mark}{urlencode(shown, safe='*/:')}"


def mask_text(text: str) -> str:
    """Mask credentials of addresses anywhere in a text, such as the traceback of a fault."""
    return _QUERY.sub(rf"\1{MASK}", _LOGIN.sub(f"://{MASK}@", text))


def _is_reference(value: object) -> bool:
    return isinstance(value, str) and _ENV.fullmatch(value) is not None
