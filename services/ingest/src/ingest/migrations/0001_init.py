"""The mirror of the provider, the evidence for it, and the work that keeps it true.

Evidence (webhooks, activity records, snapshots, steps, files, lines) is append-only in substance:
rows gain outcomes, their content never changes. Columns named `due_at`, `leased_until` and
`read_at` are the database's own time, because waiting is technical; all others are business time.
"""

from alembic import op

revision = "0001"
down_revision = "runtime_0001"

UPGRADE = """
CREATE TABLE provider_account (
    account_id       text PRIMARY KEY,       -- our name for it
    tenant_id        text NOT NULL,          -- the provider's
    first_synced_at  timestamptz NOT NULL,   -- what was created later is news, not history
    records_until    date                    -- activity records are pulled up to this day
);

-- A customer may buy through several of our accounts; each sees its own subscriptions only.
CREATE TABLE customer (
    account_id     text NOT NULL,
    customer_id    text NOT NULL,
    name           text NOT NULL,
    resource       jsonb NOT NULL,
    first_seen_at  timestamptz NOT NULL,
    swept_at       timestamptz,
    PRIMARY KEY (account_id, customer_id)
);

-- The mirror: one row a subscription, as last read.
CREATE TABLE subscription (
    subscription_id     text PRIMARY KEY,
    account_id          text NOT NULL,         -- the one that sold it, for good
    customer_id         text NOT NULL,
    licence             boolean NOT NULL,
    state               jsonb NOT NULL,
    start_state         jsonb NOT NULL,        -- where the published history starts
    started_at          timestamptz NOT NULL,
    scheduled_quantity  integer,
    resource            jsonb NOT NULL,        -- as printed, nothing dropped
    version             integer NOT NULL,      -- steps published so far
    snapshot_id         bigint NOT NULL,
    observed_at         timestamptz NOT NULL,
    read_at             timestamptz NOT NULL,  -- an answer asked for earlier is stale
    first_seen_at       timestamptz NOT NULL
);
CREATE INDEX subscription_customer ON subscription (customer_id, subscription_id);

CREATE TABLE subscription_snapshot (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription_id  text NOT NULL,
    observed_at      timestamptz NOT NULL,
    resource         jsonb NOT NULL
);
CREATE INDEX subscription_snapshot_of ON subscription_snapshot (subscription_id, id);
CREATE TRIGGER subscription_snapshot_is_append_only
    BEFORE UPDATE OR DELETE ON subscription_snapshot
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE subscription_step (
    subscription_id  text NOT NULL,
    version          integer NOT NULL,
    change_id        text NOT NULL UNIQUE,
    kind             text NOT NULL,
    quantity_before  integer NOT NULL,
    quantity_after   integer NOT NULL,
    before           jsonb,
    after            jsonb NOT NULL,
    effective_at     timestamptz NOT NULL,
    placed_at        timestamptz NOT NULL,     -- its place among records: the record's own time
    detected_at      timestamptz NOT NULL,
    estimated_time   boolean NOT NULL,
    channel          text NOT NULL,
    audit_record_id  text,
    webhook_id       text,
    actor            text,
    snapshot_id      bigint NOT NULL,
    supersedes       text,                     -- the guess (change id) that this is the truth of
    PRIMARY KEY (subscription_id, version)
);
CREATE TRIGGER subscription_step_is_append_only BEFORE UPDATE OR DELETE ON subscription_step
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE audit_record (
    account_id     text NOT NULL,
    record_id      text NOT NULL,              -- the provider's, or the hash of the record
    customer_id    text NOT NULL,
    operation      text NOT NULL,
    resource_type  text NOT NULL,
    status         text NOT NULL,
    operation_at   timestamptz NOT NULL,
    actor          text NOT NULL,
    document       jsonb NOT NULL,
    first_seen_at  timestamptz NOT NULL,
    PRIMARY KEY (account_id, record_id)
);
CREATE TABLE audit_record_subscription (
    account_id       text NOT NULL,
    subscription_id  text NOT NULL,
    record_id        text NOT NULL,
    operation_at     timestamptz NOT NULL,
    PRIMARY KEY (account_id, subscription_id, operation_at, record_id),
    FOREIGN KEY (account_id, record_id) REFERENCES audit_record
);

CREATE TABLE webhook_delivery (
    id               text PRIMARY KEY,         -- event, resource and time; or the body's hash
    account_id       text NOT NULL,            -- whose receiver it came to
    event_name       text NOT NULL,
    customer_id      text,
    subscription_id  text,
    invoice_id       text,
    audit_record_id  text,
    changed_at       timestamptz,
    body             bytea NOT NULL,
    state            text NOT NULL
                     CHECK (state IN ('pending', 'done', 'ignored', 'quarantined')),
    outcome          text,
    receptions       integer NOT NULL DEFAULT 1,
    received_at      timestamptz NOT NULL,
    handled_at       timestamptz
);
CREATE INDEX webhook_delivery_pending ON webhook_delivery (account_id, subscription_id)
    WHERE state = 'pending';
CREATE INDEX webhook_delivery_record ON webhook_delivery (audit_record_id)
    WHERE audit_record_id IS NOT NULL;

-- One row a subscription: somebody asked for it to be looked at `requested` times, looks up to
-- `handled` are done. The lease makes looks at one subscription serial.
CREATE TABLE subscription_check (
    account_id       text NOT NULL,
    subscription_id  text NOT NULL,
    customer_id      text NOT NULL,
    channel          text NOT NULL,
    requested        bigint NOT NULL,
    handled          bigint NOT NULL DEFAULT 0,
    looks            integer NOT NULL DEFAULT 0,     -- without settling
    attempts         integer NOT NULL DEFAULT 0,     -- without an answer
    due_at           timestamptz NOT NULL,
    leased_until     timestamptz,
    lease            text,
    failed           boolean NOT NULL DEFAULT false,
    reason           text,
    correlation_id   text NOT NULL,
    changed_at       timestamptz NOT NULL,
    PRIMARY KEY (account_id, subscription_id)
);
CREATE INDEX subscription_check_due ON subscription_check (due_at)
    WHERE requested > handled AND NOT failed;

-- Orders to change something at the provider. One writer a subscription, in order of `number`.
CREATE TABLE subscription_order (
    id               text PRIMARY KEY,
    account_id       text NOT NULL,
    number           bigint GENERATED ALWAYS AS IDENTITY,
    lane             text NOT NULL,            -- the subscription, or the purchase itself
    customer_id      text NOT NULL,
    subscription_id  text,                     -- NULL until a purchase is confirmed
    kind             text NOT NULL,
    wish             jsonb NOT NULL,
    state            text NOT NULL CHECK (state IN ('planned', 'checked', 'sending', 'unknown',
                                                    'confirmed', 'refused', 'cancelled',
                                                    'unclear')),
    round            integer NOT NULL DEFAULT 0,      -- answers received; part of the request id
    correlation_id   text NOT NULL UNIQUE,
    baseline         jsonb,                    -- what was read before sending
    checked_at       timestamptz,              -- when that was
    body             jsonb,                    -- what is sent
    unsure_since     timestamptz,              -- sent, and not known since what came of it
    accepted         boolean NOT NULL DEFAULT false,  -- a success came; it only has to show
    restores         boolean NOT NULL DEFAULT false,  -- done; sends again what the change dropped
    code             text,
    detail           text,
    offer            jsonb,
    provider_code    text,
    provider_words   text,
    result           jsonb,
    requested_by     text NOT NULL,
    requested_at     timestamptz NOT NULL,
    finished_at      timestamptz,
    attempts         integer NOT NULL DEFAULT 0,
    waiting_since    timestamptz,
    due_at           timestamptz NOT NULL,
    leased_until     timestamptz,
    lease            text
);
CREATE INDEX subscription_order_open ON subscription_order (lane, number)
    WHERE state IN ('planned', 'checked', 'sending', 'unknown');
CREATE INDEX subscription_order_of ON subscription_order (subscription_id, number);
CREATE TABLE subscription_order_history (
    order_id  text NOT NULL REFERENCES subscription_order,
    id        bigint GENERATED ALWAYS AS IDENTITY,
    state     text NOT NULL,
    detail    text NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (order_id, id)
);
CREATE TRIGGER subscription_order_history_is_append_only
    BEFORE UPDATE OR DELETE ON subscription_order_history
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE sync (
    id            text PRIMARY KEY,
    account_id    text NOT NULL,
    state         text NOT NULL CHECK (state IN ('pending', 'running', 'done', 'failed')),
    requested_by  text NOT NULL,
    requested_at  timestamptz NOT NULL,
    finished_at   timestamptz,
    customers     integer,
    differing     integer NOT NULL DEFAULT 0,
    records       integer NOT NULL DEFAULT 0,
    attempts      integer NOT NULL DEFAULT 0,
    due_at        timestamptz NOT NULL,
    leased_until  timestamptz,
    lease         text,
    reason        text
);
CREATE INDEX sync_open ON sync (due_at) WHERE state IN ('pending', 'running');
CREATE INDEX sync_requested ON sync (requested_at DESC);
CREATE INDEX sync_of_account ON sync (account_id, requested_at DESC);

CREATE TABLE sync_customer (
    sync_id       text NOT NULL REFERENCES sync,
    customer_id   text NOT NULL,
    state         text NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
    attempts      integer NOT NULL DEFAULT 0,
    due_at        timestamptz NOT NULL,
    leased_until  timestamptz,
    lease         text,
    reason        text,
    PRIMARY KEY (sync_id, customer_id)
);
CREATE INDEX sync_customer_open ON sync_customer (due_at) WHERE state = 'pending';

CREATE TABLE export (
    id              text PRIMARY KEY,
    account_id      text NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('usage', 'reconciliation')),
    data_set        text NOT NULL,              -- billed/G000123, eu/unbilled/USD/current
    invoice_number  text,
    currency        text,
    period          text,
    state           text NOT NULL
                    CHECK (state IN ('pending', 'running', 'waiting', 'done', 'failed')),
    operation_id    text,                       -- at the provider
    file_id         text,
    outcome         text,                       -- loaded, unchanged, superseded, no_data
    requested_by    text NOT NULL,
    requested_at    timestamptz NOT NULL,
    finished_at     timestamptz,
    attempts        integer NOT NULL DEFAULT 0,
    waits_until     timestamptz,                -- for data, in business time
    due_at          timestamptz NOT NULL,
    leased_until    timestamptz,
    lease           text,
    reason          text
);
CREATE INDEX export_open ON export (due_at) WHERE state IN ('pending', 'running', 'waiting');
CREATE INDEX export_requested ON export (requested_at DESC, id);

-- One version of one data set. Progress is the number of lines that are committed.
CREATE TABLE provider_file (
    file_id               text PRIMARY KEY,
    account_id            text NOT NULL,
    kind                  text NOT NULL,
    data_set              text NOT NULL,
    number                bigint GENERATED ALWAYS AS IDENTITY,  -- the order of opening
    etag                  text NOT NULL,        -- the manifest's
    version               text NOT NULL,        -- the eTag; of one that came back, eTag#2, …
    invoice_number        text,
    billing_period_start  date,
    billing_period_end    date,
    estimate              boolean NOT NULL,
    state                 text NOT NULL CHECK (state IN ('loading', 'closed')),
    blobs                 integer NOT NULL,
    lines_read            bigint NOT NULL DEFAULT 0,
    batches               integer NOT NULL DEFAULT 0,
    lines                 bigint NOT NULL DEFAULT 0,     -- accepted
    quantity              numeric NOT NULL DEFAULT 0,
    billing_pretax        numeric NOT NULL DEFAULT 0,
    quarantined           bigint NOT NULL DEFAULT 0,
    opened_at             timestamptz NOT NULL,
    closed_at             timestamptz,
    UNIQUE (kind, data_set, version),
    UNIQUE (kind, data_set, number)
);

-- The lines as downloaded, compressed by the chunk.
CREATE TABLE raw_chunk (
    file_id     text NOT NULL REFERENCES provider_file,
    first_line  bigint NOT NULL,
    lines       integer NOT NULL,
    raw_bytes   integer NOT NULL,
    content     bytea NOT NULL,                 -- zstd, lines separated by \\n
    PRIMARY KEY (file_id, first_line)
);
ALTER TABLE raw_chunk ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE provider_line (
    file_id          text NOT NULL REFERENCES provider_file,
    line_number      bigint NOT NULL,
    line_id          text NOT NULL,             -- derived from the line's identity
    kind             text NOT NULL,
    charge_type      text NOT NULL,
    customer_id      text NOT NULL,
    subscription_id  text NOT NULL,
    charge_start     date NOT NULL,
    charge_end       date NOT NULL,             -- exclusive
    quantity         numeric NOT NULL,
    subtotal         numeric NOT NULL,
    currency         text NOT NULL,
    published        boolean NOT NULL,
    PRIMARY KEY (file_id, line_number)
);
CREATE INDEX provider_line_subscription ON provider_line (subscription_id);
CREATE INDEX provider_line_identity ON provider_line (line_id);

CREATE TABLE quarantine (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source       text NOT NULL CHECK (source IN ('usage', 'reconciliation', 'price-sheet',
                                                 'webhook')),
    source_id    text NOT NULL,                 -- file, sheet or delivery
    line_number  bigint NOT NULL,
    code         text NOT NULL,
    detail       text NOT NULL,
    raw          text NOT NULL,
    at           timestamptz NOT NULL,
    UNIQUE (source, source_id, line_number)
);

CREATE TABLE price_sheet_import (
    id            text PRIMARY KEY,
    account_id    text NOT NULL,
    market        text NOT NULL,
    currency      text NOT NULL,
    view          text NOT NULL,
    state         text NOT NULL CHECK (state IN ('pending', 'running', 'done', 'failed')),
    sheet_id      text,
    outcome       text,                         -- published, unchanged
    requested_by  text NOT NULL,
    requested_at  timestamptz NOT NULL,
    finished_at   timestamptz,
    attempts      integer NOT NULL DEFAULT 0,
    due_at        timestamptz NOT NULL,
    leased_until  timestamptz,
    lease         text,
    reason        text
);
CREATE INDEX price_sheet_import_open ON price_sheet_import (due_at)
    WHERE state IN ('pending', 'running');

CREATE TABLE price_sheet (
    sheet_id    text PRIMARY KEY,
    market      text NOT NULL,
    currency    text NOT NULL,
    view        text NOT NULL,
    basis       text NOT NULL,
    sha256      text NOT NULL,
    rows        integer NOT NULL,
    refused     integer NOT NULL,
    fetched_at  timestamptz NOT NULL,
    number      bigint GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX price_sheet_latest ON price_sheet (market, currency, view, number);
"""


def upgrade() -> None:
    op.execute(UPGRADE)
