"""The vendor's no: HTTP status, error code and the text of its documentation."""

from __future__ import annotations

from simulators.exact_json import Document

_TEXTS = {
    400: (401, "Access denied"),
    1000: (404, "Not found"),
    2001: (
        400,
        "Subscription quantity can't be increased or decreased while subscription is being "
        "suspended",
    ),
    2002: (400, "Subscription quantity isn't within minimum and maximum allowed quantity"),
    2011: (400, "Subscription with ID {0} and deleted status can't be updated."),
    2055: (412, "Etag is no longer valid"),
    3000: (400, "Invalid property"),
    13605: (
        403,
        "Either a partner confirmation of the customer acceptance of the Microsoft Customer "
        "Agreement must be provided or the customer must accept the Microsoft Customer Agreement",
    ),
    20000: (404, "Order ID not found"),
    20002: (403, "The partner ID {0} has no commerce relationship with the customer ID {1}."),
    20003: (404, "Subscription with ID {0} not found."),
    400019: (404, "Availability not found."),
    800002: (400, "Invalid request input"),
    800008: (404, "Unable to retrieve cart ID"),
    800009: (400, "Error in Cart item(s)"),
    800065: (400, "can't check out an already submitted cart {0}."),
    800090: (400, "Subscription quantity can't be decreased"),
    800091: (400, "Can't update a subscription with suspended status"),
    800093: (400, "The subscription isn't eligible to be auto-renewed"),
    800096: (400, "Can't update the status for this subscription"),
    800097: (400, "Can't update the billing cycle for this subscription"),
    800107: (400, "Term changes are not supported for trial offers."),
    800121: (400, "The term duration provided is invalid."),
    800122: (
        400,
        "The target term duration cannot be shorter than the current term duration.",
    ),
    400041: (400, "The add-on can't be bought without a subscription of its base offer."),
    800060: (409, "The order is still in progress."),
    800064: (409, "The cart is being processed by another request."),
    800082: (409, "The subscription isn't ready to be updated. Please try again in two minutes."),
    900117: (
        400,
        "You have passed your {0}-day cancellation window. We are unable to cancel your purchase",
    ),
    900236: (400, "The subscription to upgrade to isn't active."),
    900242: (400, "The custom term end date isn't allowed for this subscription."),
    900257: (
        400,
        "You have passed your {0}-day window for reducing seats for this subscription.",
    ),
    900258: (400, "The subscription to upgrade to is still in its cancellation window."),
    900259: (400, "The subscription to upgrade to has a shorter term."),
    900260: (400, "The subscription to upgrade to ends earlier."),
    900270: (400, "The billing cycle cannot be longer than the term."),
    900275: (
        400,
        "The requested quantity for line item {0} is not within the allowed quantity for this "
        "offer.",
    ),
    900277: (
        400,
        "Your subscription is in the process of being expired. No further updates are allowed on "
        "this subscription.",
    ),
    900278: (
        409,
        "There is a pending operation on this subscription. Please try again after 24 hours.",
    ),
    900279: (400, "Update operations are no longer allowed for this subscription."),
    900311: (400, "This subscription has been updated too many times."),
    900329: (403, "This resource does not support application-only authentication."),
}


class Refusal(Exception):
    """Raised by a rule, answered at the edge, recorded where an operation was tried."""

    def __init__(self, code: int, *values: object, status: int | None = None) -> None:
        usual_status, text = _TEXTS[code]
        self.code = code
        self.status = status or usual_status
        self.description = text.format(*values)
        super().__init__(f"{code}: {self.description}")

    def body(self) -> Document:
        return {
            "code": self.code,
            "description": self.description,
            "data": [],
            "source": "PartnerFD",
        }
