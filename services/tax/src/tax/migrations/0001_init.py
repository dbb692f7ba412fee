"""Rates that operators enter, drafts that wait for their tax, determinations that answer them.

Rates and determinations are append-only: an answer given once stays explainable by the rows that
gave it.
"""

from alembic import op

revision = "0001"
down_revision = "runtime_0001"

UPGRADE = """
-- Counts every change of the entered rates; part of the engine version of each determination.
CREATE TABLE rate_table (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    version  bigint NOT NULL
);
INSERT INTO rate_table (version) VALUES (0);

CREATE TABLE rate (
    rate_id        text NOT NULL,
    valid_from     date NOT NULL,
    version        integer NOT NULL CHECK (version > 0),
    jurisdiction   text NOT NULL,
    category       text NOT NULL,
    name           text NOT NULL,
    rate           numeric NOT NULL CHECK (rate BETWEEN 0 AND 1),   -- a fraction: 0.21 is 21 %
    table_version  bigint NOT NULL,       -- of `rate_table` when this row came in
    entered_at     timestamptz NOT NULL,
    entered_by     text NOT NULL,
    PRIMARY KEY (rate_id, valid_from, version)
);
CREATE INDEX rate_place ON rate (jurisdiction, category);
CREATE TRIGGER rate_is_append_only BEFORE UPDATE OR DELETE ON rate
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE draft (
    invoice_id      text NOT NULL,
    revision        integer NOT NULL,
    account_id      text NOT NULL,
    jurisdiction    text NOT NULL,
    mode            text NOT NULL CHECK (mode IN ('per_line', 'per_group')),
    currency        text NOT NULL,
    tax_date        date NOT NULL,
    net             numeric NOT NULL,
    lines           jsonb NOT NULL,         -- [[number, category, net(, own jurisdiction)], …]
    cause           jsonb NOT NULL,         -- headers of the InvoiceDrafted that asked
    received_at     timestamptz NOT NULL,
    state           text NOT NULL
                    CHECK (state IN ('requested', 'held', 'determined', 'superseded')),
    tries           integer NOT NULL DEFAULT 0,
    engine_version  text,                   -- what the engine decided with when it held this
    reason          text,
    detail          text,
    held_since      timestamptz,
    holds           integer NOT NULL DEFAULT 0,   -- how many times a hold was announced
    PRIMARY KEY (invoice_id, revision)
);
CREATE INDEX draft_requested ON draft (tries, received_at) WHERE state = 'requested';
CREATE INDEX draft_held ON draft (held_since, invoice_id) WHERE state = 'held';

CREATE TABLE determination (
    determination_id  text PRIMARY KEY,
    invoice_id        text NOT NULL,
    revision          integer NOT NULL,
    engine            text NOT NULL,
    engine_version    text NOT NULL,
    lines             jsonb NOT NULL,       -- [{number, tax, rate: the whole row that decided}, …]
    totals            jsonb NOT NULL,
    tax               numeric NOT NULL,
    determined_at     timestamptz NOT NULL,
    UNIQUE (invoice_id, revision),
    FOREIGN KEY (invoice_id, revision) REFERENCES draft (invoice_id, revision)
);
CREATE TRIGGER determination_is_append_only BEFORE UPDATE OR DELETE ON determination
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.execute(UPGRADE)
