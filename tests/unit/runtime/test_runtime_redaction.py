"""Nothing that looks like a card, a credential or a key reaches a log line, wherever it hides."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.ids import derived_id
from shared.runtime.telemetry import luhn, redact

CARD = "4242424242424242"  # the vendor's documented test number
OTHER_CARDS = ["5555555555554444", "378282246310005", "6011111111111117", "30569309025904"]
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


def line(**fields: Any) -> str:
    """What would be printed."""
    return json.dumps(redact(None, "info", {"event": "x", **fields}), default=str)


@pytest.mark.parametrize("number", [CARD, *OTHER_CARDS])
def test_card_numbers_pass_luhn(number: str) -> None:
    """The documented test numbers of the card schemes."""
    assert luhn(number)


@pytest.mark.parametrize(
    "number", ["4242424242424241", "424242424242", "42424242424242424242", "", "abc"]
)
def test_what_is_no_card_fails_luhn(number: str) -> None:
    """A wrong check digit, too short, too long, no digits."""
    assert not luhn(number)


@given(st.from_regex(r"[2-6]\d{12,17}", fullmatch=True))
def test_exactly_one_check_digit_passes(body: str) -> None:
    """The definition of the check."""
    assert sum(luhn(f"{body}{digit}") for digit in range(10)) == 1


@pytest.mark.parametrize(
    "text",
    [
        CARD,
        "4242 4242 4242 4242",
        "4242-4242-4242-4242",
        f"pay with {CARD} please",
        f"order 12 {CARD}",
        "invoice 2026 05 4242 4242 4242 4242 12",
        f"first 1234567890123456 then {CARD}",
        f'{{"number":"{CARD}"}}',
        f"pan={CARD}&x=1",
        f"card_{CARD}",
        "3782 822463 10005",
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        lambda text: {"detail": text},
        lambda text: {"event": text},
        lambda text: {"exception": f"Traceback …\nValueError: {text}"},
        lambda text: {"body": {"deep": [{"text": text}]}},
        lambda text: {"rows": (text, "b")},
        lambda text: {"error": ValueError(text)},
        lambda text: {"raw": text.encode()},
    ],
    ids=["value", "message", "traceback", "nested", "sequence", "exception object", "bytes"],
)
def test_a_card_number_is_never_logged(text: str, place: Any) -> None:
    """In any spelling, at any depth."""
    printed = line(**place(text))

    digits = "".join(c for c in printed if c.isdigit())
    assert CARD not in digits
    assert "378282246310005" not in digits
    assert "card-like" in printed


def test_a_card_number_as_a_number_is_never_logged() -> None:
    """JSON bodies carry numbers without quotes."""
    assert CARD not in line(detail=int(CARD), nested=[Decimal(CARD)])


@pytest.mark.parametrize(
    "key",
    ["card", "number_plain", "cvc", "cvv", "cardNumber", "expirationDate", "account_number",
     "iban", "routing_number", "opaqueData", "dataValue", "client_secret", "transactionKey",
     "Authorization", "stripe_signature", "password", "webhook_secret", "access_token", "api_key",
     "apiKey", "Cookie", "Set-Cookie"],
)  # fmt: skip
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_values_under_suspicious_keys_are_dropped(key: str, depth: int) -> None:
    """Whatever they look like, also inside dictionaries and lists."""
    fields: dict[str, Any] = {key: "harmless-looking"}
    for _ in range(depth):
        fields = {"outer": [fields]}

    assert "harmless-looking" not in line(**fields)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"header was Bearer {TOKEN}", "c2lnbmF0dXJl"),
        ("header was authorization: basic dXNlcjpodW50ZXIy", "dXNlcjpodW50ZXIy"),
        (f"rejected {TOKEN} at once", "c2lnbmF0dXJl"),
        ("postgresql://rating:hunter2@db/tieout refused", "hunter2"),
        ("GET https://blob.test/f?sv=1&sig=aGVsbG8%3D&se=2 failed", "aGVsbG8"),
        ("No such key: sk_test_51HxyzABCDEF", "51HxyzABCDEF"),
        ("bad secret whsec_abcdefgh12345678", "abcdefgh12345678"),
        ("POST /token?client_secret=s3cr3t-value", "s3cr3t-value"),
    ],
)
def test_credentials_in_texts_are_dropped(text: str, secret: str) -> None:
    """Error texts of libraries repeat headers and addresses; the rest of the text stays."""
    printed = line(error=text, nested={"reason": [text]}, object=RuntimeError(text))

    assert secret not in printed
    assert text.split()[0].partition("://")[0] in printed


@pytest.mark.parametrize(
    "value",
    [
        "2026-05-01T06:00:00.000000Z",
        "invoice/INV-2026-000123",
        "7e0a1eb1-0000-4000-8000-000000000001",
        derived_id("a", 1),
        "019e7044-8800-7e00-82fc-ff39927f03df",
        datetime(2026, 5, 1, tzinfo=UTC),
        Decimal("1234.56"),
        1_780_000_000,
        17,
        True,
        None,
        "CFQ7TTC0LH18:0001",
        "partition 4 offset 123456",
        "",
    ],
)
def test_ordinary_values_are_left_alone(value: object) -> None:
    """Redaction must not make logs useless."""
    assert redact(None, "info", {"detail": value})["detail"] == value


def test_the_fields_of_the_frame_are_left_alone() -> None:
    """Time, level and service are ours; structlog's own record keeps its identity."""
    record = object()
    event = {"ts": "t", "level": "info", "service": "token-ring", "_record": record}

    assert event == redact(None, "info", dict(event))


PROGRAM = f"""
import logging, structlog
from shared.runtime.telemetry import configure_logging
configure_logging("payments", level="INFO", log_format="json")
log = structlog.get_logger()
log.info("charge.failed", card="{CARD}", note="pan {CARD}", body={{"cvc": "123-secret"}})
try:
    raise ValueError("refused {CARD}, Bearer {TOKEN}")
except ValueError as error:
    log.exception("request.failed", exc_info=error)
logging.getLogger("uvicorn.error").warning("header %s", "Bearer {TOKEN}")
logging.getLogger("httpx").info("GET https://x?sig=hidden-by-level")
"""


def test_a_process_prints_one_clean_json_object_a_line() -> None:
    """Our own lines and those of libraries, tracebacks included."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )

    entries = [json.loads(text) for text in done.stdout.splitlines()]
    assert [entry["event"] for entry in entries] == [
        "charge.failed",
        "request.failed",
        "header Bearer [redacted]",
    ]
    assert all(entry["service"] == "payments" for entry in entries)
    assert all({"ts", "level"} <= set(entry) for entry in entries)
    assert "ValueError" in entries[1]["exception"]
    assert CARD not in done.stdout
    assert "123-secret" not in done.stdout
    assert "c2lnbmF0dXJl" not in done.stdout
