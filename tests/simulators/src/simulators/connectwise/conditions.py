"""The `conditions` language of ConnectWise lists, read into a tree.

    company/id = 250 and (name like "Al*" or cancelledFlag = False)
    lastUpdated > [2026-03-01T00:00:00Z] and id in (1, 2, 3)

Strings stand in double quotes, instants in square brackets, references are walked with a slash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeAlias

Value: TypeAlias = "str | Decimal | bool | datetime | tuple[Value, ...] | None"

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<instant>\[[^\]]*\])
    | (?P<number>-?\d+(?:\.\d+)?(?![\w/]))
    | (?P<operator><=|>=|!=|<>|=|<|>)
    | (?P<mark>[(),])
    | (?P<word>[A-Za-z_][\w/.]*)
    )""",
    re.VERBOSE,
)
_COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">=", "contains", "like", "in"})
_LITERALS: dict[str, Value] = {"true": True, "false": False, "null": None}


class ConditionError(ValueError):
    """The text is not in the language; the message says where."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One test of a field; `path` is the chain of references."""

    path: tuple[str, ...]
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class Not:
    inner: Condition


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Condition, ...]


Condition: TypeAlias = "Comparison | Not | All | AnyOf"


def parse(text: str) -> Condition:
    """The condition a text means; `and` binds tighter than `or`.

    Raises:
        ConditionError: at the first token that does not fit.
    """
    parser = _Parser(_tokens(text))
    condition = parser.any_of()
    parser.expect_end()
    return condition


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str

    @property
    def word(self) -> str:
        return self.text.lower() if self.kind == "word" else ""


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    position = 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise ConditionError(
                f"unexpected text at position {position}: {text[position:][:20]!r}"
            )
        found.append(_Token(match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return found


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0

    def any_of(self) -> Condition:
        parts = [self._all()]
        while self._took("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def expect_end(self) -> None:
        if self._next < len(self._tokens):
            raise ConditionError(f"unexpected {self._tokens[self._next].text!r}")

    def _all(self) -> Condition:
        parts = [self._single()]
        while self._took("and"):
            parts.append(self._single())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _single(self) -> Condition:
        if self._took("not"):
            return Not(self._single())
        if self._took("("):
            inner = self.any_of()
            self._require(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        field = self._take()
        if field.kind != "word":
            raise ConditionError(f"a field name is expected, not {field.text!r}")
        negated = self._took("not")
        operator = self._take().text.lower().replace("<>", "!=")
        if operator not in _COMPARISONS:
            raise ConditionError(f"{operator!r} is not an operator")
        value = self._list() if operator == "in" else self._value()
        comparison = Comparison(tuple(re.split(r"[/.]", field.text)), operator, value)
        return Not(comparison) if negated else comparison

    def _list(self) -> tuple[Value, ...]:
        self._require("(")
        values = [self._value()]
        while self._took(","):
            values.append(self._value())
        self._require(")")
        return tuple(values)

    def _value(self) -> Value:
        token = self._take()
        if token.kind == "string":
            return re.sub(r"\\(.)", r"\1", token.text[1:-1])
        if token.kind == "instant":
            return _instant(token.text[1:-1])
        if token.kind == "number":
            return Decimal(token.text)
        if token.word in _LITERALS:
            return _LITERALS[token.word]
        raise ConditionError(f"{token.text!r} is not a value; strings stand in double quotes")

    def _take(self) -> _Token:
        if self._next == len(self._tokens):
            raise ConditionError("the condition ends too early")
        self._next += 1
        return self._tokens[self._next - 1]

    def _took(self, text: str) -> bool:
        if self._next < len(self._tokens):
            token = self._tokens[self._next]
            if token.word == text or (token.kind == "mark" and token.text == text):
                self._next += 1
                return True
        return False

    def _require(self, mark: str) -> None:
        if not self._took(mark):
            raise ConditionError(f"{mark!r} is missing")


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConditionError(f"[{text}] is not an instant") from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
