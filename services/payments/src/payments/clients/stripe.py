"""Stripe's API, as much of it as collecting an invoice off-session takes.

A thin client, so that one place decides about time-outs, retries and redaction: the official SDK
adds idempotency keys and repeats requests on its own. Its words stay in this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from payments.clients.gateway import NoAnswer, NotSent, Unclear
from payments.domain.attempt import RANK, Attempt, Decline, Report, State
from payments.domain.declines import CONFIG, TRANSIENT, classify, refusal
from shared.kernel.errors import Invalid
from shared.kernel.money import EXACT, Money, exponent
from shared.runtime.http import READ_RETRY, HttpClient, OutcomeUnknown, Response, Unreachable

VERSION = "2026-10-28.endive"
TIMEOUT_S = 25.0
PAGE = 100
PAGES_MAX = 50
# The business clock and Stripe's need not agree to the minute when a search begins.
CLOCKS_APART = timedelta(days=1)

# Where Stripe counts in other units than ISO 4217 does (docs.stripe.com/currencies, special cases).
_PLACES = {"ISK": 2, "MGA": 0}
# Sources contradict each other about the unit, and a guess would be wrong by a factor of 100.
_REFUSED = frozenset({"UGX"})
_ABANDONED = "abandoned"

M = TypeVar("M", bound=BaseModel)


class _Error(BaseModel):
    model_config = ConfigDict(extra="ignore")

    type: str = ""
    code: str | None = None
    decline_code: str | None = None
    advice_code: str | None = None
    network_advice_code: str | None = None
    network_decline_code: str | None = None
    payment_intent: _Intent | None = None

    def decline(self) -> Decline:
        return classify(
            code=self.code,
            decline_code=self.decline_code,
            advice_code=self.advice_code,
            network_advice_code=self.network_advice_code,
            network_decline_code=self.network_decline_code,
        )


class _Intent(BaseModel):
    """A PaymentIntent; fields that are not read here may come and go."""

    model_config = ConfigDict(extra="ignore")

    id: str
    status: str
    amount: int
    currency: str
    metadata: dict[str, str] = {}
    cancellation_reason: str | None = None
    last_payment_error: _Error | None = None


class _Page(BaseModel):
    model_config = ConfigDict(extra="ignore")

    data: list[_Intent]
    has_more: bool


class _Failure(BaseModel):
    model_config = ConfigDict(extra="ignore")

    error: _Error


class Stripe:
    """One Stripe account."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def close(self) -> None:
        await self._http.close()

    async def charge(self, attempt: Attempt) -> Report | NotSent | Unclear:
        try:
            form = charge_form(attempt)
        except Invalid as error:
            return Report(None, State.FAILED, None, attempt.attempt_id, None, refusal(error.code))
        headers = {"Idempotency-Key": attempt.idempotency_key}
        try:
            response = await self._http.request(
                "POST", "/v1/payment_intents", data=form, headers=headers
            )
        except Unreachable as error:
            return NotSent(str(error))
        except OutcomeUnknown as error:
            return Unclear(str(error))
        return _outcome(response)

    async def read(self, payment_id: str) -> Report | None:
        response = await self._get(f"/v1/payment_intents/{payment_id}", {})
        if response.status == 404:
            return None
        return _report(_parsed(_Intent, response))

    async def abandon(self, attempt: Attempt, payment_id: str) -> Report | None:
        """Cancelling is refused once a payment is under way, so it cannot cross a success."""
        try:
            response = await self._http.request(
                "POST",
                f"/v1/payment_intents/{payment_id}/cancel",
                data={"cancellation_reason": _ABANDONED},
                headers={"Idempotency-Key": f"cancel_{attempt.attempt_id}"},
            )
        except (Unreachable, OutcomeUnknown) as error:
            raise NoAnswer(str(error)) from error
        if response.ok:
            return _report(_parsed(_Intent, response))
        return await self.read(payment_id)

    async def search(self, attempt: Attempt) -> Report | None:
        """Lists the customer's payments since the attempt: a list is complete at once, whereas
        Stripe's search index lags behind."""
        found: list[Report] = []
        after: str | None = None
        since = None
        if attempt.sent_at is not None:
            since = str(int((attempt.sent_at - CLOCKS_APART).timestamp()))
        for _ in range(PAGES_MAX):
            params: dict[str, str | None] = {
                "customer": attempt.provider_customer_id,
                "limit": str(PAGE),
                "created[gte]": since,
                "starting_after": after,
            }
            page = _parsed(_Page, await self._get("/v1/payment_intents", params))
            reports = (_report(intent) for intent in page.data)
            found += [r for r in reports if r.attempt_id == attempt.attempt_id]
            if not page.has_more or not page.data:
                return max(found, key=lambda report: RANK[report.state], default=None)
            after = page.data[-1].id
        raise NoAnswer(f"more than {PAGES_MAX * PAGE} payments to look through")

    async def _get(self, path: str, params: Mapping[str, str | None]) -> Response:
        try:
            response = await self._http.request("GET", path, params=params, retry=READ_RETRY)
        except (Unreachable, OutcomeUnknown) as error:
            raise NoAnswer(str(error)) from error
        if not response.ok and response.status != 404:
            raise NoAnswer(f"Stripe answers {response.status}")
        return response


def connect(base_url: str, api_key: str) -> Stripe:
    """A client of the account that `api_key` belongs to."""

    async def bearer() -> Mapping[str, str]:
        return {"Authorization": f"Bearer {api_key}"}

    http = HttpClient(
        base_url,
        name="stripe",
        timeout_s=TIMEOUT_S,
        auth=bearer,
        headers={"Stripe-Version": VERSION},
    )
    return Stripe(http)


def charge_form(attempt: Attempt) -> dict[str, str]:
    """The form of a charge. It depends on the attempt alone, so a repeat sends the same bytes.

    Raises:
        Invalid: `currency_not_chargeable`, `amount_not_representable`.
    """
    return {
        "amount": str(stripe_amount(attempt.amount)),
        "currency": attempt.amount.currency.lower(),
        "customer": attempt.provider_customer_id,
        "payment_method": attempt.provider_method_id,
        "confirm": "true",
        "off_session": "true",
        "error_on_requires_action": "true",
        "description": f"Invoice {attempt.invoice_number}",
        "metadata[attempt_id]": attempt.attempt_id,
        "metadata[invoice_id]": attempt.invoice_id,
        "metadata[invoice_number]": attempt.invoice_number,
    }


def stripe_amount(money: Money) -> int:
    """An amount in the units Stripe counts this currency in."""
    if money.currency in _REFUSED:
        raise Invalid("currency_not_chargeable", f"{money.currency} is not charged automatically")
    scaled = money.amount.scaleb(_places(money.currency), context=EXACT)
    # Partners of Stripe take no third digit after the point: it must be zero.
    step = 10 if exponent(money.currency) == 3 else 1
    if scaled != scaled.to_integral_value() or int(scaled) % step:
        raise Invalid("amount_not_representable", f"Stripe cannot charge {money} exactly")
    return int(scaled)


def money_of(amount: int, currency: str) -> Money:
    """What Stripe's number means."""
    code = currency.upper()
    return Money(Decimal(amount).scaleb(-_places(code), context=EXACT), code)


def _places(currency: str) -> int:
    return _PLACES.get(currency, exponent(currency))


def _outcome(response: Response) -> Report | NotSent | Unclear:
    """What the answer to a charge means. Everything that is not surely one or the other is unclear:
    a wrong "it failed" would charge twice."""
    status = response.status
    try:
        if response.ok:
            return _report(_Intent.model_validate(response.json()))
        if status in (401, 403):
            return NotSent(f"Stripe answers {status}", problem="provider_refuses_credentials")
        if status == 429:
            return NotSent("Stripe asks for fewer requests")
        error = _Failure.model_validate(response.json()).error
    except (ValueError, ValidationError):
        return Unclear(f"Stripe answers {status} and nothing that can be read")
    if error.payment_intent is not None and status < 500:
        return _report(error.payment_intent, error)
    if status in (400, 402, 404) and error.type != "idempotency_error":
        declined = error.decline() if error.type == "card_error" else refusal(error.code)
        return Report(None, State.FAILED, None, None, None, declined)
    return Unclear(f"Stripe answers {status} {error.type} {error.code or ''}".strip())


def _report(intent: _Intent, error: _Error | None = None) -> Report:
    state, decline = _state(intent, error or intent.last_payment_error)
    unconfirmed = intent.status in ("requires_confirmation", "requires_payment_method")
    return Report(
        provider_payment_id=intent.id,
        state=state,
        amount=money_of(intent.amount, intent.currency),
        attempt_id=intent.metadata.get("attempt_id"),
        provider_status=intent.status,
        decline=decline,
        stalled=unconfirmed and state is State.PENDING,
    )


def _state(intent: _Intent, error: _Error | None) -> tuple[State, Decline | None]:
    match intent.status:
        case "succeeded":
            return State.SUCCEEDED, None
        case "requires_action":
            return State.REQUIRES_ACTION, None
        case "canceled":
            ours = intent.cancellation_reason == _ABANDONED
            return State.FAILED, Decline("canceled", TRANSIENT if ours else CONFIG)
        case "requires_payment_method" if error is not None:
            return State.FAILED, error.decline()
        case _:
            # Also a status of tomorrow, and a payment seen before its confirmation was tried: it
            # exists and has no outcome yet.
            return State.PENDING, None


def _parsed(model: type[M], response: Response) -> M:
    try:
        return model.model_validate(response.json())
    except (ValueError, ValidationError) as error:
        raise NoAnswer(f"Stripe answers {response.status} and nothing that can be read") from error
