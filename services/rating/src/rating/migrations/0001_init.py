"""Facts that rating keeps for ever, and the conclusions it draws from them.

Facts (changes, contract versions, prices, rates, usage frames, purchases) and what was published
are append-only. Groups and lines of usage are conclusions: they are made again from the frames when
a contract, a rule or a rate arrives later.
"""

from alembic import op

revision = "0001"
down_revision = "runtime_0001"

UPGRADE = """
CREATE TABLE subscription_change (
    change_id        text PRIMARY KEY,
    subscription_id  text NOT NULL,
    customer_id      text NOT NULL,
    product_key      text NOT NULL,
    effective_at     timestamptz NOT NULL,
    version          integer NOT NULL,
    body             jsonb NOT NULL,       -- the event as it came
    recorded_at      timestamptz NOT NULL
);
CREATE INDEX subscription_change_customer ON subscription_change (customer_id, subscription_id);
CREATE INDEX subscription_change_subscription ON subscription_change (subscription_id);
CREATE INDEX subscription_change_product ON subscription_change (product_key);

CREATE TABLE contract_version (
    contract_id           text NOT NULL,
    version               integer NOT NULL,
    provider_customer_id  text NOT NULL,
    body                  jsonb NOT NULL,
    recorded_at           timestamptz NOT NULL,
    PRIMARY KEY (contract_id, version)
);
CREATE INDEX contract_version_customer ON contract_version (provider_customer_id);

-- What the provider will do when a term ends, as it said at each of ingest's reads.
CREATE TABLE renewal_schedule (
    subscription_id  text NOT NULL,
    snapshot         bigint NOT NULL,
    customer_id      text NOT NULL,
    body             jsonb NOT NULL,
    recorded_at      timestamptz NOT NULL,
    PRIMARY KEY (subscription_id, snapshot)
);
CREATE INDEX renewal_schedule_customer ON renewal_schedule (customer_id);

-- Which contract has how many seats of a subscription that several share, and since when.
CREATE TABLE allocation (
    allocation_id    text PRIMARY KEY,
    subscription_id  text NOT NULL,
    kind             text NOT NULL CHECK (kind IN ('opening', 'move', 'change', 'default')),
    effective_on     date NOT NULL,
    body             jsonb NOT NULL,
    recorded_at      timestamptz NOT NULL,
    recorded_by      text NOT NULL
);
CREATE INDEX allocation_subscription ON allocation (subscription_id, effective_on, allocation_id);

CREATE TABLE price_row (
    sheet_id         text NOT NULL,
    product_key      text NOT NULL,
    segment          text NOT NULL,
    effective_from   date NOT NULL,
    effective_until  date,                 -- exclusive
    market           text NOT NULL,
    currency         text NOT NULL,
    product_name     text NOT NULL,
    unit_price       numeric NOT NULL,
    erp_price        numeric NOT NULL,
    fetched_at       timestamptz NOT NULL,
    PRIMARY KEY (sheet_id, product_key, segment, effective_from)
);
CREATE INDEX price_row_product ON price_row (product_key, segment);
CREATE INDEX price_row_sheet ON price_row (sheet_id, product_key);

-- A sheet counts from its first part on. Once all parts are here, it replaces the older sheets that
-- were fetched in the same month for the same market, currency and view.
CREATE TABLE price_sheet (
    sheet_id     text PRIMARY KEY,
    market       text NOT NULL,
    currency     text NOT NULL,
    view         text NOT NULL,
    month        date NOT NULL,            -- first day of the month in which it was fetched
    fetched_at   timestamptz NOT NULL,
    parts        integer NOT NULL,
    parts_here   integer[] NOT NULL,
    rows         integer NOT NULL,
    replaced_by  text
);
CREATE INDEX price_sheet_month ON price_sheet (market, currency, view, month);

CREATE TABLE price_rule_version (
    rule_id                text NOT NULL,
    version                integer NOT NULL CHECK (version > 0),
    kind                   text NOT NULL,
    contract_id            text,
    customer_id            text,
    product_key            text,
    meter_category         text,
    azure_subscription_id  text,
    term                   text,
    billing_plan           text,
    segment                text,
    priority               integer NOT NULL,
    valid_from             date NOT NULL,
    valid_until            date,           -- exclusive
    price                  jsonb NOT NULL,
    entered_at             timestamptz NOT NULL,
    entered_by             text NOT NULL,
    reason                 text,
    approved_by            text,           -- the second person, where one was needed
    change_id              text,           -- of price_change; NULL: entered by itself
    PRIMARY KEY (rule_id, version)
);
CREATE INDEX price_rule_kind ON price_rule_version (kind, contract_id, customer_id);

CREATE TABLE promotion_version (
    promotion_id    text NOT NULL,
    version         integer NOT NULL CHECK (version > 0),
    name            text NOT NULL,
    contract_id     text,
    customer_id     text,
    product_key     text,
    term            text,
    billing_plan    text,
    segment         text,
    percent         numeric NOT NULL,
    starts          date NOT NULL,
    ends            date,                  -- exclusive
    keeps           text NOT NULL CHECK (keeps IN ('term', 'cycle')),
    seat_cap        integer,               -- NULL: every seat
    first_purchase  boolean NOT NULL,
    priority        integer NOT NULL,
    entered_at      timestamptz NOT NULL,
    entered_by      text NOT NULL,
    reason          text,
    approved_by     text,
    change_id       text,
    PRIMARY KEY (promotion_id, version)
);

-- Rules, promotions and rates that somebody proposed together. They become versions when the change
-- becomes active: at once, or when a second person approves of it.
CREATE TABLE price_change (
    change_id    text PRIMARY KEY,
    state        text NOT NULL CHECK (state IN ('waiting', 'active', 'rejected')),
    items        jsonb NOT NULL,           -- as entered, each with the version it was based on
    fingerprint  text NOT NULL,            -- of the items: the same proposal is made once
    reason       text NOT NULL,
    author       text NOT NULL,
    created_at   timestamptz NOT NULL,
    effect       jsonb NOT NULL,           -- what the dry run said when it was proposed
    decided_by   text,
    decided_at   timestamptz,
    decision     text                      -- why, in the words of whoever decided
);
CREATE INDEX price_change_state ON price_change (state, created_at);
CREATE UNIQUE INDEX price_change_waiting ON price_change (fingerprint) WHERE state = 'waiting';

CREATE TABLE fx_rate (
    source_currency  text NOT NULL,
    target_currency  text NOT NULL,
    rate_on          date NOT NULL,
    version          integer NOT NULL CHECK (version > 0),
    rate             numeric NOT NULL CHECK (rate > 0),
    source           text NOT NULL,
    entered_at       timestamptz NOT NULL,
    entered_by       text NOT NULL,
    reason           text,
    approved_by      text,
    change_id        text,
    PRIMARY KEY (source_currency, target_currency, rate_on, version)
);

CREATE TABLE provider_purchase (
    seq          bigint GENERATED ALWAYS AS IDENTITY,
    purchase_id  text NOT NULL,
    version      text NOT NULL,            -- of the data set it came with
    customer_id  text NOT NULL,
    body         jsonb NOT NULL,
    recorded_at  timestamptz NOT NULL,
    PRIMARY KEY (purchase_id, version)
);
CREATE INDEX provider_purchase_customer ON provider_purchase (customer_id);

CREATE TABLE cycle (
    run_id        text PRIMARY KEY,
    contract_id   text NOT NULL,
    invoice_date  date NOT NULL,
    closed_end    date NOT NULL,           -- the boundary that this run closes
    body          jsonb NOT NULL,
    recorded_at   timestamptz NOT NULL,
    answered_at   timestamptz              -- NULL: the contract is not known yet
);
CREATE INDEX cycle_contract ON cycle (contract_id, closed_end);

-- One version of one data set. The file counts (state current) when everything it announced is
-- here; a newer complete version supersedes it.
CREATE TABLE usage_file (
    file_id          text PRIMARY KEY,
    data_set         text NOT NULL,
    invoice_number   text,
    billing_month    date NOT NULL,        -- its first day
    estimate         boolean NOT NULL,
    state            text NOT NULL DEFAULT 'receiving'
                     CHECK (state IN ('receiving', 'incomplete', 'mismatch', 'current',
                                      'superseded')),
    batches          integer NOT NULL DEFAULT 0,
    lines            bigint NOT NULL DEFAULT 0,
    quantity         numeric NOT NULL DEFAULT 0,
    billing_pretax   numeric NOT NULL DEFAULT 0,
    control          jsonb,                -- what it announced; NULL: not announced yet
    closed_at        timestamptz,          -- when it was announced
    completed_at     timestamptz
);
CREATE UNIQUE INDEX usage_file_current ON usage_file (data_set) WHERE state = 'current';
CREATE INDEX usage_file_month ON usage_file (billing_month, state);

CREATE TABLE usage_batch (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    src          text NOT NULL UNIQUE,
    file_id      text NOT NULL REFERENCES usage_file,
    lines        integer NOT NULL,
    frame        bytea NOT NULL,           -- as it came; compressed already
    recorded_at  timestamptz NOT NULL
);
ALTER TABLE usage_batch ALTER COLUMN frame SET STORAGE EXTERNAL;
CREATE INDEX usage_batch_file ON usage_batch (file_id);

-- What people call an Azure subscription; the ids stay what decides.
CREATE TABLE azure_subscription (
    customer_id            text NOT NULL,
    azure_subscription_id  text NOT NULL,
    name                   text NOT NULL,
    PRIMARY KEY (customer_id, azure_subscription_id)
);

-- Sums of the lines of a batch that share everything that decides a price. Charges are made from
-- these, never from lines.
CREATE TABLE usage_delta (
    batch                  bigint NOT NULL REFERENCES usage_batch,
    position               integer NOT NULL,
    lines                  integer NOT NULL,
    customer_id            text NOT NULL,
    contract_id            text,
    outcome                text NOT NULL,
    rule_id                text,
    rule_version           integer,
    azure_subscription_id  text NOT NULL,
    meter_category         text NOT NULL,
    meter_id               text NOT NULL,
    meter_name             text NOT NULL,
    product_key            text NOT NULL,
    unit                   text NOT NULL,
    usage_month            date NOT NULL,
    unit_price             numeric NOT NULL,
    effective_unit_price   numeric NOT NULL,
    pec_rate               numeric NOT NULL,
    pricing_currency       text NOT NULL,
    billing_currency       text NOT NULL,
    provider_rate          numeric NOT NULL,
    provider_rate_on       date,
    quantity               numeric NOT NULL,
    billing_pretax         numeric NOT NULL,
    PRIMARY KEY (batch, position)
);
CREATE INDEX usage_delta_contract ON usage_delta (contract_id, usage_month);
CREATE INDEX usage_delta_customer ON usage_delta (customer_id, batch);

-- One row per line; the price and the rule are those of its delta. Written by COPY, so it has no
-- unique index: the batch is the unit of idempotence.
CREATE TABLE rated_usage_line (
    batch        bigint NOT NULL,
    line_number  bigint NOT NULL,          -- in the provider's file, from 1
    row_no       integer NOT NULL,         -- in the batch, from 0: (src, row) is the address
    position     integer NOT NULL,         -- of its delta
    usage_date   date NOT NULL,
    quantity     numeric NOT NULL,
    line_id      text NOT NULL
);
CREATE INDEX rated_usage_line_batch ON rated_usage_line USING brin (batch)
    WITH (pages_per_range = 16);

CREATE TABLE charge (
    charge_id        text PRIMARY KEY,
    revision         integer NOT NULL,
    contract_id      text NOT NULL,
    kind             text NOT NULL,
    subscription_id  text,
    bill_on          date NOT NULL,
    amount           numeric NOT NULL,
    currency         text NOT NULL,
    body             jsonb NOT NULL,       -- the event of this revision
    rated_at         timestamptz NOT NULL
);
CREATE INDEX charge_contract ON charge (contract_id, bill_on, charge_id);
CREATE INDEX charge_subscription ON charge (contract_id, subscription_id);

CREATE TABLE charge_revision (
    charge_id  text NOT NULL,
    revision   integer NOT NULL,
    body       jsonb NOT NULL,
    rated_at   timestamptz NOT NULL,
    cause      text,                       -- id of the message that led to it; NULL: a job did
    PRIMARY KEY (charge_id, revision)
);

CREATE TABLE licence_change (
    seq              bigint GENERATED ALWAYS AS IDENTITY,
    entry_id         text PRIMARY KEY,
    change_id        text NOT NULL,
    contract_id      text NOT NULL,
    subscription_id  text NOT NULL,
    body             jsonb NOT NULL,
    logged_at        timestamptz NOT NULL
);
CREATE INDEX licence_change_subscription ON licence_change (subscription_id, seq);
CREATE INDEX licence_change_change ON licence_change (change_id);

CREATE TABLE hold (
    hold_id      text PRIMARY KEY,
    scope        text NOT NULL,            -- what has to be computed again to release it
    contract_id  text,
    customer_id  text,
    reason       text NOT NULL,
    object       text NOT NULL,
    key          text NOT NULL,
    detail       text NOT NULL,
    since        timestamptz NOT NULL,
    released_at  timestamptz
);
CREATE INDEX hold_open ON hold (since, hold_id) WHERE released_at IS NULL;
CREATE INDEX hold_open_scope ON hold (scope) WHERE released_at IS NULL;

-- Customers to conclude about again because a fact that many depend on arrived; worked off by a
-- job. `rerate`: decide every usage line again; `settle`: compare the charges with the facts.
CREATE TABLE due (
    kind         text NOT NULL CHECK (kind IN ('rerate', 'settle')),
    customer_id  text NOT NULL,
    since        timestamptz NOT NULL,
    tries        integer NOT NULL DEFAULT 0,
    asked        bigint GENERATED ALWAYS AS IDENTITY,  -- anew with every fact: whose wake-up it is
    PRIMARY KEY (kind, customer_id)
);

CREATE TRIGGER fact_is_kept BEFORE UPDATE OR DELETE ON subscription_change
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fact_is_kept BEFORE UPDATE OR DELETE ON contract_version
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fact_is_kept BEFORE UPDATE OR DELETE ON renewal_schedule
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fact_is_kept BEFORE UPDATE OR DELETE ON allocation
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fact_is_kept BEFORE UPDATE OR DELETE ON price_row
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fact_is_kept BEFORE UPDATE OR DELETE ON price_rule_version
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fact_is_kept BEFORE UPDATE OR DELETE ON promotion_version
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fact_is_kept BEFORE UPDATE OR DELETE ON fx_rate
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fact_is_kept BEFORE UPDATE OR DELETE ON provider_purchase
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fact_is_kept BEFORE UPDATE OR DELETE ON usage_batch
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fact_is_kept BEFORE UPDATE OR DELETE ON charge_revision
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fact_is_kept BEFORE UPDATE OR DELETE ON licence_change
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.execute(UPGRADE)
