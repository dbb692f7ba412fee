"""How Autotask says no: mostly HTTP 500 with a list of texts, whatever the reason."""

from __future__ import annotations

from collections.abc import Sequence

from simulators.contract_problems import Problem
from simulators.http_messages import Answer


class Refused(Exception):
    """The vendor refuses with HTTP 500 and these texts."""

    def __init__(self, *texts: str) -> None:
        super().__init__("; ".join(texts))
        self.answer = errors(500, *texts)


def errors(status: int, *texts: str) -> Answer:
    return Answer.of(status, {"errors": list(texts)})


def unauthorized() -> Answer:
    return errors(401, "Authentication failed: user, secret or integration code is not valid.")


def wrong_zone() -> Answer:
    return errors(401, "The user is not in this zone; ask zoneInformation.")


def not_found(what: str) -> Answer:
    return errors(404, f"No HTTP resource was found that matches {what}.")


def method_not_allowed(method: str) -> Answer:
    return errors(405, f"The requested resource does not support http method '{method}'.")


def too_many_threads(limit: int) -> Answer:
    return errors(
        500,
        f"The number of concurrent threads exceeds the thread threshold of {limit} for this "
        "object endpoint (Itgenatr005).",
    )


def suspended(hourly: int) -> Answer:
    answer = errors(429, f"The database exceeded its limit of {hourly} requests per hour.")
    return answer.with_header("retry-after", "300")


def invalid(problems: Sequence[Problem]) -> Answer:
    texts = []
    for problem in problems:
        if problem.kind == "required":
            texts.append(f"Missing Required Field: {problem.field}.")
        elif problem.kind == "create_only":
            texts.append(f"{problem.field}: the field is read only.")
        else:
            texts.append(f"{problem.field}: {problem.message}")
    return errors(500, *texts)
