"""Idempotency keys as API v1 has them: the first answer is repeated for a day, declines included.

A key is not remembered when validation refused the request or another one was still running.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shared.kernel.ids import sha256_hex
from simulators.http_messages import JSON, Answer, Call
from simulators.stripe.errors import StripeError, error
from simulators.stripe.state import Remembered, State

LONGEST_KEY = 255
KEPT_S = 24 * 3600


class Keys:
    """The keys of one state and the requests that are running right now."""

    def __init__(self) -> None:
        self._running: set[str] = set()

    def replayed(self, state: State, call: Call, now: int) -> Answer | None:
        """The first answer to this key, if it has one.

        Raises:
            StripeError: other parameters than the first time, or the first is still running.
        """
        key = key_of(call)
        if key is None:
            return None
        if len(key) > LONGEST_KEY:
            text = f"Idempotency keys have at most {LONGEST_KEY} characters."
            raise StripeError(error(400, "invalid_request_error", text))
        if key in self._running:
            answer = error(
                409,
                "idempotency_error",
                "There is currently another in-progress request using this Idempotency-Key.",
                code="idempotency_key_in_use",
            )
            raise StripeError(answer.with_header("stripe-should-retry", "true"))
        known = state.keys.get(key)
        if known is None or known.at + KEPT_S <= now:
            return None
        if known.fingerprint != _fingerprint(call):
            text = (
                "Keys for idempotent requests can only be used with the same parameters they were "
                f"first used with. Try using a key other than '{key}'."
            )
            raise StripeError(error(400, "idempotency_error", text))
        headers = {"content-type": JSON, "idempotent-replayed": "true"}
        return Answer(known.status, known.body.encode(), headers)

    @contextmanager
    def running(self, call: Call) -> Iterator[None]:
        key = key_of(call)
        if key is not None:
            self._running.add(key)
        try:
            yield
        finally:
            self._running.discard(key or "")

    def remember(self, state: State, call: Call, answer: Answer, now: int) -> None:
        key = key_of(call)
        if key is not None:
            body = answer.body.decode()
            state.keys[key] = Remembered(_fingerprint(call), answer.status, body, now)


def key_of(call: Call) -> str | None:
    return call.headers.get("idempotency-key") if call.method == "POST" else None


def _fingerprint(call: Call) -> str:
    return sha256_hex(f"{call.method} {call.path} ".encode() + call.body)
