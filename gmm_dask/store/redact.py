"""Names of stores without the secrets in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

# user:password@ after the scheme of any link of a chained URL
USER = re.compile(r"(?<=://)[^/@\s]*@")
SHORTEST_SECRET = 4


class Label(NamedTuple):
    """What a store is called, and what must not be said about it.

    Parameters
    ----------
    path : str
    key : str
        Path inside the store; may be empty.
    options : mapping
        Storage options.
    """

    path: str
    key: str
    options: Mapping[str, Any]

    def __str__(self) -> str:
        return "/".join(part for part in (redact_url(self.path).rstrip("/"), self.key) if part)

    def scrub(self, error: object) -> str:
        """Return the message of an error without secrets."""
        return scrub(str(error), self.path, self.options)


def is_url(path: str) -> bool:
    """Return whether a path is an fsspec URL, possibly chained (``zip://a::s3://b``)."""
    return "://" in path or "::" in path


def redact_url(path: str) -> str:
    """Return a path without user, password, query and fragment (signed links carry keys there)."""
    if not is_url(path):
        return path
    return "::".join(USER.sub("", re.split(r"[?#]", link)[0]) for link in path.split("::"))


def scrub(text: str, path: str, options: Mapping[str, Any]) -> str:
    """Return a message of another library without what `path` and `options` keep secret."""
    for secret in sorted(_secrets(path, options), key=len, reverse=True):
        text = text.replace(secret, "***")
    return USER.sub("", text)


def _secrets(path: str, options: Any) -> Iterator[str]:
    """Yield every string that must not be shown."""
    for link in path.split("::") if is_url(path) else []:
        for query in re.split(r"[?#]", link)[1:]:
            values = (part.rpartition("=")[2] for part in query.split("&"))
            yield from (part for part in (query, *values) if len(part) >= SHORTEST_SECRET)
        for user in USER.findall(link):
            yield from (part for part in re.split("[:@]", user) if len(part) >= SHORTEST_SECRET)
    yield from _strings(options)


def _strings(options: Any) -> Iterator[str]:
    if isinstance(options, str) and len(options) >= SHORTEST_SECRET:
        yield options
    elif isinstance(options, Mapping):
        for item in options.values():
            yield from _strings(item)
    elif isinstance(options, list | tuple):
        for item in options:
            yield from _strings(item)
