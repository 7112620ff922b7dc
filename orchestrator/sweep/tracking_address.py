"""The address of a tracking store, which is shown without its secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, unquote_plus

DATABASE_SCHEMES = ("sqlite", "postgresql", "mysql", "mssql")
"""Stores that the driver opens directly."""

_ACCEPTED = re.compile(rf"(https?|({'|'.join(DATABASE_SCHEMES)})(\+\w+)?)://", re.ASCII)
STRUCK = "***"
_SECRET_NAME = re.compile(r"pass(w|phrase|$)|pwd|secret|token|credential|odbc_connect|(api|access|private|ssl)_?key")
_USER = r"(://[^/\s:@?#'\"]*):"
# A password in an HTTP address ends before a slash; in a database's it may hold one.
_HTTP_PASSWORD = re.compile(r"(https?://[^/\s:@?#'\"]*):[^/\s?#]*@")
_HTTP_TOKEN = re.compile(r"(https?://)[^/\s:@?#'\"]+@")
_PASSWORD = re.compile(rf"(?<!http)(?<!https){_USER}\S*@")
_PARAMETER = re.compile(r"(^|[?&;,\s])([\w.%-]+)=([^&;\s'\"]*)")
_WHOLE = re.compile(r"[\w+.-]+://(?P<user>[^:/@]*)(?::(?P<password>.*))?@", re.DOTALL)


@dataclass(frozen=True)
class TrackingAddress:
    """A tracking store's address. Its text omits passwords; ``whole`` has them, for the store alone."""

    whole: str = field(repr=False)

    def __str__(self) -> str:
        return self.redact(self.whole)

    def __repr__(self) -> str:
        return f"TrackingAddress({str(self)!r})"

    @property
    def has_secret(self) -> bool:
        """Whether its text omits a secret, so that the text cannot be used as an address."""
        return str(self) != self.whole

    @property
    def is_server(self) -> bool:
        """Whether it is that of a tracking server, which has its own UI and chooses the place of artifacts."""
        return self.whole.startswith(("http://", "https://"))

    @property
    def page(self) -> str:
        """A server's address for a browser, which asks for user name and password itself."""
        return re.sub(r"^(https?://)[^/?#]*@", r"\1", self.whole)

    @property
    def is_database(self) -> bool:
        """Whether it is a database that the driver opens directly."""
        return self.whole.partition(":")[0].partition("+")[0] in DATABASE_SCHEMES

    @property
    def sqlite_file(self) -> Path | None:
        """The file of an SQLite store; None for any other store, including SQLite in memory or at one of its own URIs."""
        if not self.whole.startswith("sqlite:///"):
            return None
        file = Path(unquote(self.whole.removeprefix("sqlite:///").partition("?")[0]))
        return None if str(file) in (".", ":memory:") or str(file).startswith("file:") else file

    def absolute(self) -> TrackingAddress:
        """The same store whatever the current folder is."""
        file = self.sqlite_file
        if file is None or file.is_absolute():
            return self
        _, mark, parameters = self.whole.partition("?")
        return TrackingAddress(f"sqlite:///{quote(str(file.absolute()))}{mark}{parameters}")

    def redact(self, text: str) -> str:
        """The text without this address's secrets, in any encoding, and without the passwords of other addresses."""
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", STRUCK, text)
        return without_password(text)

    def _secrets(self) -> set[str]:
        return {form for secret in self._written_secrets() for form in (secret, unquote(secret)) if form}

    def _written_secrets(self) -> Iterator[str]:
        found = _WHOLE.match(self.whole)
        if found:
            yield found["password"] or (found["user"] if self.is_server else "")
        yield from (value for name, value in re.findall(r"[?&;]([^=&;]+)=([^&;]*)", self.whole) if _is_secret(name))


def problem_with(address: str) -> str | None:
    """The reason for which an address is not usable, without repeating its possible password; None where it is usable."""
    if _ACCEPTED.match(address):
        return None
    kinds = ", ".join(f"{scheme}://" for scheme in ("http", "https", *DATABASE_SCHEMES))
    return f"it is not the address of an MLflow server or database, which begins with one of {kinds}"


def without_password(text: str) -> str:
    """The text with the passwords of all addresses removed: before an ``@``, or given as a parameter."""
    text = _HTTP_TOKEN.sub(rf"\1{STRUCK}@", _HTTP_PASSWORD.sub(rf"\1:{STRUCK}@", text))
    text = _PASSWORD.sub(rf"\1:{STRUCK}@", text)
    return _PARAMETER.sub(_struck_parameter, text)


def _struck_parameter(found: re.Match[str]) -> str:
    before, name, value = found.groups()
    return f"{before}{name}={STRUCK if value and _is_secret(name) else value}"


def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(unquote_plus(name).lower()) is not None
