"""SQL is named, whole, in stores only; and every statement fits the schema it will meet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import asyncpg
import pytest

from architecture.rules import sql
from architecture.rules.sources import Finding, Source, texts
from architecture.rules.sql import Statement
from architecture.trees import listed, planted, production
from shared.contracts.topics import SERVICES
from shared.runtime.postgres import schema_of
from support.servers import FreshDatabase, PostgresServer

STORE = "services/tax/src/tax/store.py"
API = "services/tax/src/tax/api.py"
RUNTIME = "shared/src/shared/runtime/"


def statements_of(service: str) -> list[Statement]:
    """What a process of this service may run: its stores' SQL and the runtime's."""
    folder = f"services/{service}/src/{schema_of(service)}/store"
    return [
        statement
        for source in production()
        if source.path.startswith((folder, RUNTIME))
        and source.layer in {"store", "runtime"}
        and "/migration" not in source.path
        for statement in sql.statements(source)
    ]


@asynccontextmanager
async def session(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def refused(dsn: str, statements: Iterable[Statement]) -> list[Finding]:
    """Statements the server would not run for this role, with what it says.

    Preparing finds misspelt names and types; planning finds rights that are missing.
    """
    found = []
    async with session(dsn) as connection:
        for statement in statements:
            for step in (_prepare, _plan):
                try:
                    await step(connection, statement.sql)
                except asyncpg.PostgresError as error:
                    message = f"{statement.name}: {error}"
                    found.append(Finding(statement.path, statement.line, message))
                    break
    return found


async def _prepare(connection: asyncpg.Connection, statement: str) -> None:
    await connection.prepare(statement)


async def _plan(connection: asyncpg.Connection, statement: str) -> None:
    await connection.execute(f"EXPLAIN (GENERIC_PLAN) {statement}")


@pytest.mark.parametrize("service", SERVICES)
async def test_every_statement_runs_on_the_schema_of_its_service(
    fresh_database: FreshDatabase, service: str
) -> None:
    """As the role the service has; a misspelt column fails here, not at the end of a month."""
    made = await fresh_database(service)
    statements = statements_of(service)
    own = [statement for statement in statements if not statement.path.startswith(RUNTIME)]

    assert len(own) > 15
    assert len(statements) - len(own) > 20
    found = await refused(made.app_dsn, statements)
    assert not found, listed(found)


PLANTED = {
    "a misspelt column": "SELECT jurisdicton FROM rate",
    "a table of another service": "SELECT * FROM usage_file",
    "a misspelt table": "UPDATE rates SET rate = $1",
    "a type that does not fit": "SELECT * FROM rate WHERE valid_from = $1::integer",
    "a column too many": "INSERT INTO rate_table (one, version) VALUES ($1, $2, $3)",
    "no such function": "SELECT now_or_never()",
    "broken grammar": "SELECT * FROM rate WHERE ORDER BY rate_id",
    "a right the role has not": "UPDATE audit SET actor = $1",
    "a deletion the role may not do": "DELETE FROM audit WHERE seq = $1",
    "another schema": "SELECT * FROM pg_authid",
}


@pytest.fixture(scope="module")
async def tax_dsn(postgres_server: PostgresServer) -> AsyncIterator[str]:
    made = await postgres_server.create("tax")
    yield made.app_dsn
    await postgres_server.drop(made)


@pytest.mark.parametrize("text", PLANTED.values(), ids=PLANTED)
async def test_a_statement_that_does_not_fit_is_caught(tax_dsn: str, text: str) -> None:
    """Found in the source as the rule finds it, refused by the server, reported with its line."""
    source = planted(
        f'"""A store."""\n\nFINE = "SELECT rate FROM rate"\nQUERY = """\n{text}\n"""\n', STORE
    )

    found = await refused(tax_dsn, sql.statements(source))

    assert [(finding.path, finding.line) for finding in found] == [(STORE, 4)]
    assert found[0].message.startswith("QUERY: ")


@pytest.mark.parametrize(
    "text",
    [
        "Q = 'SELECT 1'",
        "_Q = 'SELECT 1'",
        "Q: str = 'SELECT 1'",
        "Q = '''\nINSERT INTO t (a) VALUES ($1)\n'''",
        "Q = '''\n-- why\nUPDATE t SET a = 1'''",
        "Q = 'DELETE FROM t'",
        "Q = 'WITH a AS (SELECT 1) SELECT * FROM a'",
        "Q = 'SELECT ' '1'",
    ],
)
def test_a_statement_is_found(text: str) -> None:
    """Whatever it does and however it is laid out."""
    assert len(list(sql.statements(planted(text, STORE)))) == 1


@pytest.mark.parametrize(
    "text", ["q = 'SELECT 1'", "NAME = 'selected'", "DAYS = 3", "LABEL = 'Select one'"]
)
def test_what_is_no_sql_constant_is_no_statement(text: str) -> None:
    """Lower-case names are for values, and prose is prose."""
    assert list(sql.statements(planted(text, STORE))) == []


def test_every_sql_text_of_a_store_is_a_constant_that_is_prepared() -> None:
    """Nothing slips past the test above by being written elsewhere in the module."""
    found = []
    for source in production():
        if source.layer not in {"store", "runtime"} or "/migration" in source.path:
            continue
        lines = {statement.sql for statement in sql.statements(source)}
        found += [
            source.finding(node, f"SQL that no constant names: {text[:40]!r}")
            for node, text in texts(source)
            if sql.is_sql(text) and text not in lines
        ]

    assert not found, listed(found)


@pytest.mark.parametrize("rule", [sql.outside_stores, sql.put_together, sql.without_a_name])
def test_sql_is_named_whole_and_in_stores(rule: Callable[[Source], Iterable[Finding]]) -> None:
    """The three rules on the whole tree."""
    found = [finding for source in production() for finding in rule(source)]

    assert not found, listed(found)


@pytest.mark.parametrize(
    "layer", ["api", "jobs", "handlers/runs", "domain/rules", "clients/x", "main"]
)
@pytest.mark.parametrize(
    "text",
    [
        "Q = 'SELECT * FROM rate'",
        "def f(tx):\n    return tx.fetch('INSERT INTO rate (a) VALUES ($1)')",
        "def f(tx):\n    return tx.execute('''\n  UPDATE rate SET rate = 0''')",
        "q = {'all': 'DELETE FROM rate'}",
    ],
)
def test_sql_outside_a_store_is_caught(layer: str, text: str) -> None:
    """Wherever it hides in the module."""
    source = planted(text, f"services/tax/src/tax/{layer}.py")

    assert list(sql.outside_stores(source))


@pytest.mark.parametrize(
    "text",
    [
        "'''SELECT is what stores do.'''",
        "message = 'Select an account first'",
        "message = 'UPDATE: the rate changed'",
        "detail = 'with a reason'",
    ],
)
def test_prose_outside_a_store_is_left_alone(text: str) -> None:
    """Words are not statements."""
    assert list(sql.outside_stores(planted(text, API))) == []


@pytest.mark.parametrize(
    "text",
    [
        "q = f'SELECT * FROM {table}'",
        "q = f'''\nSELECT *\nFROM rate WHERE {condition}'''",
        "q = 'SELECT * FROM {}'.format(table)",
        "q = 'SELECT * FROM %s' % table",
        "q = 'SELECT * FROM rate ' + condition",
        "q = base + ' WHERE rate_id = $1'",
        "q = BASE + f' ORDER BY {column}'",
    ],
)
def test_sql_put_together_is_caught(text: str) -> None:
    """Also where the pieces are our own: no test can prepare it."""
    assert list(sql.put_together(planted(text, STORE)))


@pytest.mark.parametrize(
    "text",
    [
        "q = 'SELECT 1'",
        "message = f'no rate for {place}'",
        "message = f'the draft is from {day}'",
        "total = net + tax",
        "path = '/v1/' + name",
    ],
)
def test_other_texts_put_together_are_left_alone(text: str) -> None:
    """Messages may be put together."""
    assert list(sql.put_together(planted(text, STORE))) == []


@pytest.mark.parametrize(
    "call",
    [
        "tx.fetch('SELECT 1')",
        "tx.execute(query)",
        "reader.fetchval(build(filters))",
        "connection.executemany(f'{Q}', rows)",
        "tx.fetchrow(ONE if first else query)",
        "self._connection.execute(text)",
    ],
)
def test_running_what_has_no_name_is_caught(call: str) -> None:
    """Only upper-case constants are prepared by the test above."""
    assert list(sql.without_a_name(planted(f"async def f():\n    await {call}", STORE)))


@pytest.mark.parametrize(
    "call",
    [
        "tx.fetch(FIND_RATE, 1)",
        "tx.execute(queries.CLOSE)",
        "reader.fetchval(_COUNT)",
        "tx.fetchrow(ONE if first else OTHER, 1)",
        "client.fetch(url)",
        "reader.fetch()",
    ],
)
def test_running_a_named_statement_is_left_alone(call: str) -> None:
    """Either of two names is a name as well."""
    assert list(sql.without_a_name(planted(f"async def f():\n    await {call}", STORE))) == []
