"""Connections, mappings, the facts that ask for deliveries, and the ledger of intents.

A fact (`source`) is kept whole, so that planning it again after a new mapping needs nobody else.
Intents are never deleted: they are the proof of what a PSA was asked for and what it holds.
"""

from alembic import op

revision = "0001"
down_revision = "runtime_0001"

UPGRADE = """
CREATE TABLE connection (
    id            text PRIMARY KEY,
    vendor        text NOT NULL,
    base_url      text NOT NULL,
    credentials   jsonb NOT NULL,           -- sealed values by name
    settings      jsonb NOT NULL,
    version       integer NOT NULL,
    changed_at    timestamptz NOT NULL,
    -- The vendor's wish, shared by all replicas. Real time: a story's clock does not throttle.
    paused_until  timestamptz NOT NULL DEFAULT 'epoch',
    pause_reason  text,
    pause_detail  text,
    paused_since  timestamptz
);

CREATE TABLE contract_mapping (
    contract_id    text PRIMARY KEY,
    connection_id  text REFERENCES connection,   -- NULL: this contract goes to no PSA
    company_id     text,
    target_id      text,                    -- agreement, or contract of the PSA
    changed_at     timestamptz NOT NULL
);

CREATE TABLE product_mapping (
    connection_id  text NOT NULL REFERENCES connection,
    product_key    text NOT NULL,
    external_id    text NOT NULL,
    changed_at     timestamptz NOT NULL,
    PRIMARY KEY (connection_id, product_key)
);

-- A finalised invoice or a licence change, as it arrived.
CREATE TABLE source (
    seq            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind           text NOT NULL CHECK (kind IN ('invoice', 'licence_change')),
    source_id      text NOT NULL,
    contract_id    text NOT NULL,
    body           jsonb NOT NULL,
    cause          jsonb NOT NULL,          -- headers of the message that brought it
    state          text NOT NULL
                   CHECK (state IN ('waiting', 'blocked', 'planned', 'nothing')),
    reason         text,                    -- while waiting for a mapping of the contract
    detail         text,
    missing        text[] NOT NULL DEFAULT '{}',   -- product mappings that would unblock it
    checked        boolean NOT NULL DEFAULT false,  -- preflight passed for this run
    received_at    timestamptz NOT NULL,
    state_since    timestamptz NOT NULL,
    UNIQUE (kind, source_id)
);
CREATE INDEX source_open ON source (seq) WHERE state IN ('waiting', 'blocked');
CREATE INDEX source_contract ON source (contract_id, seq) WHERE state IN ('waiting', 'blocked');
CREATE INDEX source_number ON source ((body ->> 'number')) WHERE kind = 'invoice';

-- The unit of ordering in a PSA: an agreement, a contract, or one service on a contract.
-- `lease_until` makes one writer; `lane` makes one writer for the first services of a product on a
-- contract, which can be told apart only by what was on the contract before.
CREATE TABLE target (
    connection_id  text NOT NULL REFERENCES connection,
    name           text NOT NULL,
    lane           text NOT NULL,
    external_id    text,                    -- the PSA's id of the service, once known
    lease_until    timestamptz NOT NULL DEFAULT 'epoch',
    not_before     timestamptz NOT NULL DEFAULT 'epoch',
    failures       integer NOT NULL DEFAULT 0,
    PRIMARY KEY (connection_id, name)
);
CREATE INDEX target_leased ON target (connection_id, lease_until);

CREATE TABLE intent (
    id                 text PRIMARY KEY,
    connection_id      text NOT NULL REFERENCES connection,
    key                text NOT NULL,
    target             text NOT NULL,
    kind               text NOT NULL,
    source_seq         bigint NOT NULL REFERENCES source,
    ordinal            integer NOT NULL,
    source_id          text NOT NULL,       -- "<invoice number>/<line>" or an entry id
    contract_id        text NOT NULL,
    company_id         text NOT NULL,
    target_id          text NOT NULL,
    subscription_id    text,
    operation          jsonb NOT NULL,
    stays_open         boolean NOT NULL,    -- a recurring addition without a last day
    closed_by          text,                -- the intent that gives it one
    state              text NOT NULL
                       CHECK (state IN ('planned', 'sending', 'unknown', 'confirmed', 'rejected',
                                        'blocked', 'drifted', 'superseded')),
    reason             text,
    detail             text,
    attempt            integer NOT NULL DEFAULT 0,   -- fences a writer that lost its lease
    answered           boolean NOT NULL DEFAULT false,
    sent_at            timestamptz,         -- real time of the last request that may have effects
    external_id        text,
    request_hash       text,
    vendor_request_id  text,
    planned_at         timestamptz NOT NULL,
    state_since        timestamptz NOT NULL,
    confirmed_at       timestamptz,
    amends             text,                -- the intent whose record this one changes
    record_key         text,                -- the key inside that record; NULL: its own
    drift_id           text,                -- the drift it heals
    UNIQUE (connection_id, key),
    FOREIGN KEY (connection_id, target) REFERENCES target (connection_id, name)
);
CREATE INDEX intent_open ON intent (connection_id, target, source_seq, ordinal)
    WHERE state NOT IN ('confirmed', 'superseded');
CREATE INDEX intent_waiting ON intent (state_since, id)
    WHERE state IN ('blocked', 'rejected', 'drifted');
CREATE INDEX intent_source ON intent (source_seq);
CREATE INDEX intent_source_id ON intent (source_id);
CREATE INDEX intent_stays_open ON intent (contract_id, connection_id) WHERE stays_open;
CREATE INDEX intent_target_id ON intent (connection_id, target_id);
CREATE INDEX intent_drift ON intent (drift_id) WHERE drift_id IS NOT NULL;

-- Reading back everything of a connection, target by target. Leases and waits are real time.
CREATE TABLE sweep (
    id             text PRIMARY KEY,
    connection_id  text NOT NULL REFERENCES connection,
    state          text NOT NULL CHECK (state IN ('pending', 'running', 'done')),
    requested_by   text NOT NULL,
    requested_at   timestamptz NOT NULL,
    started_at     timestamptz,
    finished_at    timestamptz,
    cursor         text NOT NULL DEFAULT '',      -- the last target that was read
    targets        integer NOT NULL DEFAULT 0,
    records        integer NOT NULL DEFAULT 0,
    calls          integer NOT NULL DEFAULT 0,
    found          integer NOT NULL DEFAULT 0,
    skipped        integer NOT NULL DEFAULT 0,    -- targets that were being written to
    failures       integer NOT NULL DEFAULT 0,
    detail         text,
    attempt        integer NOT NULL DEFAULT 0,
    lease_until    timestamptz NOT NULL DEFAULT 'epoch',
    not_before     timestamptz NOT NULL DEFAULT 'epoch'
);
CREATE UNIQUE INDEX sweep_open ON sweep (connection_id) WHERE state <> 'done';
CREATE INDEX sweep_latest ON sweep (connection_id, requested_at);

-- A difference between what a PSA should hold and what it holds; one open row per object and kind.
CREATE TABLE drift (
    id             text PRIMARY KEY,
    connection_id  text NOT NULL REFERENCES connection,
    target_id      text NOT NULL,
    contract_id    text,
    source_id      text,
    kind           text NOT NULL,
    object         text NOT NULL,
    external_id    text,
    intent_id      text,
    fields         jsonb NOT NULL,          -- wanted, last seen and found, field by field
    difference     numeric,                 -- billed minus wanted
    repairs        jsonb NOT NULL,          -- the operations that would put it right
    revision       integer NOT NULL DEFAULT 1,    -- counts what was found differently each time
    edited_by      text,
    edited_at      text,
    evidence       text,
    action         text NOT NULL CHECK (action IN ('heal', 'approve', 'report')),
    state          text NOT NULL CHECK (state IN ('waiting', 'reported', 'healing', 'healed',
                                                  'failed', 'gone', 'dismissed')),
    detail         text,
    sweep_id       text NOT NULL REFERENCES sweep,
    first_seen_at  timestamptz NOT NULL,
    last_seen_at   timestamptz NOT NULL,
    state_since    timestamptz NOT NULL
);
CREATE UNIQUE INDEX drift_open ON drift (connection_id, object, kind)
    WHERE state NOT IN ('healed', 'gone');
CREATE INDEX drift_target ON drift (connection_id, target_id);
CREATE INDEX drift_listed ON drift (first_seen_at, id);

-- Names people know contracts by, for suggestions only: a mapping stores ids.
CREATE TABLE known_account (
    account_id  text PRIMARY KEY,
    name        text NOT NULL
);

CREATE TABLE known_contract (
    contract_id  text PRIMARY KEY,
    version      integer NOT NULL,
    account_id   text NOT NULL,
    currency     text NOT NULL
);

-- Cut-over: lines that were in a PSA before our first push, and what people decided about them.
-- `planned` is the plan that was agreed to; under another plan the adoption no longer counts.
CREATE TABLE adoption (
    intent_id    text PRIMARY KEY REFERENCES intent,
    external_id  text NOT NULL,
    planned      jsonb NOT NULL,
    operation    jsonb NOT NULL,             -- the plan as the line fulfils it
    decided_by   text NOT NULL,
    decided_at   timestamptz NOT NULL
);

CREATE TABLE dismissed_line (
    connection_id  text NOT NULL REFERENCES connection,
    external_id    text NOT NULL,
    decided_by     text NOT NULL,
    decided_at     timestamptz NOT NULL,
    PRIMARY KEY (connection_id, external_id)
);
CREATE INDEX intent_delivered_line
    ON intent (connection_id, target_id, contract_id, (operation -> 'product' ->> 'external_id'))
    WHERE state = 'confirmed' AND kind IN ('addition', 'contract_charge');
"""


def upgrade() -> None:
    op.execute(UPGRADE)
