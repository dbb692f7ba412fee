"""Logs and metrics: one JSON object a line, and the typed registry of every metric we emit.

Metric names follow conventions: base units, `_total` on counters, bounded labels only. Keys that
may carry secrets or personal data are dropped in the log processor, not at call sites.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram

# One line of meaning per metric; `tests/architecture` fails on a metric made anywhere else.
HTTP_DURATION = Histogram(
    "tieout_http_server_request_duration_seconds",
    "Time to answer a request",
    ["method", "route", "status"],
)
PROCESS_DURATION = Histogram(
    "tieout_messaging_process_duration_seconds",
    "Time to handle one message, transaction included",
    ["destination", "outcome"],
)
OUTBOX_PUBLISHED = Counter("tieout_messaging_client_sent_messages_total", "Outbox rows published")
CONSUMED = Counter(
    "tieout_messaging_client_consumed_messages_total", "Messages handled", ["destination"]
)
INBOX_DUPLICATES = Counter("tieout_inbox_duplicates_total", "Messages recognised as repeats")
DEAD_LETTERS_PENDING = Gauge("tieout_dead_letters_pending", "Dead letters waiting for a person")
CONSUMER_LAG = Gauge("tieout_consumer_lag_messages", "Messages behind the end", ["topic"])
OUTBOX_UNSENT = Gauge("tieout_outbox_unsent_rows", "Committed events the broker does not have yet")
PROVIDER_DURATION = Histogram(
    "tieout_provider_request_duration_seconds",
    "Time of one request to a vendor",
    ["provider", "method", "outcome"],
)
JOB_FAILURES = Counter("tieout_job_failures_total", "Steps of a job that raised", ["job"])
REFUSALS_UNRECORDED = Counter(
    "tieout_refusals_unrecorded_total", "Refused webhooks that a flood kept off the audit trail"
)
LICENCE_LOG_DIFFERS = Gauge(
    "tieout_licence_log_differs", "Subscriptions whose log, changes and provider disagree"
)
AUDIT_VERIFIED = Gauge(
    "tieout_audit_chain_verified_timestamp_seconds", "When the audit chain was last found intact"
)

_SECRET_KEYS = re.compile(
    r"card|number_plain|cvc|cvv|expirationdate|account_number|iban|routing|opaque|datavalue"
    r"|client_secret|transactionkey|authorization|signature|password|secret|token|api_?key|cookie",
    re.IGNORECASE,
)
_OURS = frozenset({"ts", "level", "service"})
_DIGITS = re.compile(r"(?<![0-9A-Za-z])\d+(?:[ -]\d+)*(?![0-9A-Za-z])")
_SECRETS_IN_TEXT = (  # text of errors and of libraries is not ours to word
    re.compile(r"(?i)(?P<kept>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"),
    re.compile(r"(?P<kept>)\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"),  # a signed token
    re.compile(r"(?P<kept>)\b(?:sk|rk|whsec)_\w{8,}"),  # keys that name their vendor's kind
    re.compile(r"(?P<kept>://[^\s:/@]*:)[^\s/@]+(?=@)"),  # the password in an address
    re.compile(
        r"(?i)(?P<kept>[?&](?:sig|signature|token|access_token|code|api_?key|password"
        r"|client_secret)=)[^&\s'\"]+"
    ),
)
_CARD_GROUPS_MAX = 19


def configure_logging(service: str, *, level: str, log_format: str) -> None:
    """Set up structlog for a process. Standard-library records pass through the same processors."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if log_format == "console"
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("aiokafka", "httpx", "httpcore", "uvicorn.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)


def redact(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Drop values under suspicious keys and anything that looks like a card number or a secret."""
    del logger, method
    for key, value in list(event.items()):
        if key not in _OURS and not key.startswith("_"):  # `_record` is structlog's own
            event[key] = _cleaned(key, value)
    return event


def _cleaned(key: str, value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_KEYS.search(key) and key != "event":
        return "[redacted]"
    if isinstance(value, str):
        return _cleaned_text(value)
    if isinstance(value, Mapping):
        return {name: _cleaned(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(key, inner) for inner in value]
    text = value.decode(errors="replace") if isinstance(value, bytes) else repr(value)
    cleaned = _cleaned_text(text)
    return value if cleaned == text else cleaned


def _cleaned_text(text: str) -> str:
    for secret in _SECRETS_IN_TEXT:
        text = secret.sub(r"\g<kept>[redacted]", text)
    return _DIGITS.sub(_without_card, text)


def _without_card(found: re.Match[str]) -> str:
    """A card number may stand among other numbers: try every run of whole groups."""
    groups = re.split("[ -]", found[0])
    for start in range(len(groups)):
        digits = ""
        for group in groups[start : start + _CARD_GROUPS_MAX]:
            digits += group
            if luhn(digits):
                return "[redacted: card-like]"
    return found[0]


def luhn(text: str) -> bool:
    """Whether the digits of `text` pass the check of payment card numbers."""
    digits = [int(c) for c in text if c.isdigit()]
    doubled = [
        d if i % 2 == 0 else (d * 2 - 9 if d > 4 else d * 2) for i, d in enumerate(digits[::-1])
    ]
    return 13 <= len(digits) <= 19 and sum(doubled) % 10 == 0
