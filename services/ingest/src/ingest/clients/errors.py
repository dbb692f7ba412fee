"""How a call to the provider can fail, sorted by what may be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.runtime.http import Response

RETRYABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class ProviderError(Exception):
    """The provider answered, and not with what was asked for."""

    def __init__(self, what: str, status: int, code: str, words: str) -> None:
        super().__init__(f"{what}: HTTP {status} {code} {words}".strip())
        self.status = status
        self.code = code
        self.words = words


class ProviderBusy(ProviderError):
    """Asking again later can help. `after_s` is how long the provider asked us to wait."""

    def __init__(self, what: str, response: Response) -> None:
        code, words = words_of(response)
        super().__init__(what, response.status, code, words)
        self.after_s = response.retry_after_s


class ProviderRefused(ProviderError):
    """Asking the same again cannot help."""

    def __init__(self, what: str, response: Response) -> None:
        code, words = words_of(response)
        super().__init__(what, response.status, code, words)


def error_of(what: str, response: Response) -> ProviderError:
    kind = ProviderBusy if response.status in RETRYABLE else ProviderRefused
    return kind(what, response)


def words_of(response: Response) -> tuple[str, str]:
    """Code and text of an error body: Partner Center's, Graph's, the login's, or the throttle's."""
    try:
        body = response.json()
    except ValueError:
        return "", ""
    if not isinstance(body, Mapping):
        return "", ""
    inner: Any = body.get("error")
    if isinstance(inner, Mapping):
        return str(inner.get("code", "")), str(inner.get("message", ""))[:300]
    code = body.get("code") or body.get("error") or ""
    words = body.get("description") or body.get("error_description") or body.get("message") or ""
    return str(code), str(words)[:300]
