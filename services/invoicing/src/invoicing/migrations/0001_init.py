"""Parties, contracts, charges, runs and invoices.

Facts are append-only: contract versions, charge revisions, drafts, lines, taxes, payments. What is
issued is guarded here as well as in the code: a finalised invoice keeps every figure for good.
"""

from alembic import op

revision = "0001"
down_revision = "runtime_0001"

UPGRADE = """
CREATE TABLE selling_entity (
    selling_entity_id   text PRIMARY KEY,
    name                text NOT NULL,
    country             text NOT NULL,
    tax_mode            text NOT NULL CHECK (tax_mode IN ('per_line', 'per_group')),
    invoice_prefix      text NOT NULL UNIQUE,
    payment_terms_days  integer NOT NULL CHECK (payment_terms_days >= 0),
    changed_at          timestamptz NOT NULL
);

-- Apart from selling_entity, so that finalising invoices does not queue behind reading a name.
CREATE TABLE invoice_sequence (
    selling_entity_id  text PRIMARY KEY REFERENCES selling_entity,
    last_count         bigint NOT NULL DEFAULT 0
);

CREATE TABLE account (
    account_id         text PRIMARY KEY,
    name               text NOT NULL,
    selling_entity_id  text NOT NULL REFERENCES selling_entity,
    country            text NOT NULL,
    tax_jurisdiction   text NOT NULL,
    currency           text NOT NULL,
    parent_account_id  text REFERENCES account,
    changed_at         timestamptz NOT NULL
);

CREATE TABLE contract (
    contract_id           text PRIMARY KEY,
    version               integer NOT NULL,
    account_id            text NOT NULL REFERENCES account,
    currency              text NOT NULL,
    timing                text NOT NULL CHECK (timing IN ('advance', 'arrears')),
    anchor_day            integer NOT NULL CHECK (anchor_day BETWEEN 1 AND 31),
    invoice_offset_days   integer NOT NULL CHECK (invoice_offset_days >= 0),
    starts_on             date NOT NULL,
    billed_through        date NOT NULL,
    ends_on               date,
    provider_customer_id  text NOT NULL,
    subscription_ids      text[],           -- NULL: all of the customer's
    convention            text NOT NULL,    -- shared.kernel.conventions
    shared_subscription_ids  text[] NOT NULL,   -- billed by the seats allocated to it
    bill_to_account_id    text REFERENCES account,   -- NULL: the account itself
    market                text,             -- whose price sheets count; NULL: the only one
    changed_at            timestamptz NOT NULL
);
CREATE INDEX contract_account ON contract (account_id);
CREATE INDEX contract_bill_to ON contract (bill_to_account_id)
    WHERE bill_to_account_id IS NOT NULL;

CREATE TABLE contract_version (
    contract_id  text NOT NULL REFERENCES contract,
    version      integer NOT NULL,
    terms        jsonb NOT NULL,            -- ContractChanged as published
    changed_at   timestamptz NOT NULL,
    changed_by   text NOT NULL,
    PRIMARY KEY (contract_id, version)
);

CREATE TABLE one_time_item (
    contract_id    text NOT NULL REFERENCES contract,
    item_id        text NOT NULL,
    product_key    text NOT NULL,
    name           text NOT NULL,
    tax_category   text NOT NULL,
    quantity       numeric NOT NULL,
    unit_price     numeric NOT NULL,
    bill_on        date NOT NULL,           -- the first invoice dated on or after this day has it
    cost           numeric NOT NULL,
    cost_currency  text NOT NULL,
    added_at       timestamptz NOT NULL,
    added_by       text NOT NULL,
    billed_line    text,                    -- <invoice number>/<line>
    PRIMARY KEY (contract_id, item_id)
);
CREATE INDEX one_time_item_open ON one_time_item (contract_id, bill_on) WHERE billed_line IS NULL;

CREATE TABLE charge_revision (
    charge_id    text NOT NULL,
    revision     integer NOT NULL CHECK (revision > 0),
    payload      jsonb NOT NULL,            -- ChargeRated as received
    event_id     text NOT NULL,
    received_at  timestamptz NOT NULL,
    PRIMARY KEY (charge_id, revision)
);

-- The current revision of each charge, and how far it has been billed on finalised invoices.
CREATE TABLE charge (
    charge_id        text PRIMARY KEY,
    contract_id      text NOT NULL,         -- no reference: a charge may overtake its contract
    revision         integer NOT NULL,
    bill_on          date NOT NULL,
    amount           numeric NOT NULL,
    corrects         text,                  -- charge of a closed month that this one supplements
    billed_revision  integer,
    billed_amount    numeric,               -- sum of the lines so far
    billed_line      text,                  -- the first line that billed it, <number>/<line>
    FOREIGN KEY (charge_id, revision) REFERENCES charge_revision,
    FOREIGN KEY (charge_id, billed_revision) REFERENCES charge_revision,
    CHECK ((billed_revision IS NULL) = (billed_amount IS NULL)
           AND (billed_revision IS NULL) = (billed_line IS NULL))
);
CREATE INDEX charge_due ON charge (contract_id, bill_on);

-- Rates that rating announced, to convert the lines of consolidated invoices.
CREATE TABLE fx_rate (
    source_currency  text NOT NULL,
    target_currency  text NOT NULL,
    rate_on          date NOT NULL,
    version          integer NOT NULL,
    rate             numeric NOT NULL CHECK (rate > 0),
    source           text NOT NULL,
    received_at      timestamptz NOT NULL,
    PRIMARY KEY (source_currency, target_currency, rate_on, version)
);
CREATE TRIGGER fx_rate_is_append_only BEFORE UPDATE OR DELETE ON fx_rate
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE invoice_run (
    run_id           text PRIMARY KEY,
    contract_id      text NOT NULL REFERENCES contract,
    invoice_date     date NOT NULL,
    state            text NOT NULL
                     CHECK (state IN ('requested', 'rating', 'collected', 'drafted',
                                      'tax_requested', 'finalised', 'held', 'empty')),
    recurring_start  date NOT NULL,
    recurring_end    date NOT NULL,
    closed_start     date NOT NULL,
    closed_end       date NOT NULL,
    attempt          integer NOT NULL DEFAULT 0,   -- how often rating was asked
    control_charges  integer,                      -- what rating answered
    control_amount   numeric,
    held_reason      text,
    held_detail      text,
    held_since       timestamptz,
    invoice_id       text,
    correlation_id   text NOT NULL,
    requested_at     timestamptz NOT NULL,
    requested_by     text NOT NULL,
    changed_at       timestamptz NOT NULL,
    UNIQUE (contract_id, invoice_date),            -- a date of a contract is billed once
    CHECK ((state = 'held') = (held_reason IS NOT NULL))
);
-- Runs of one contract are serial: the next one must see what the one before has billed.
CREATE UNIQUE INDEX invoice_run_active ON invoice_run (contract_id)
    WHERE state IN ('rating', 'collected', 'drafted', 'tax_requested', 'held');
CREATE INDEX invoice_run_requested ON invoice_run (invoice_date, contract_id)
    WHERE state = 'requested';
CREATE INDEX invoice_run_invoice ON invoice_run (invoice_id) WHERE invoice_id IS NOT NULL;
CREATE INDEX invoice_run_held ON invoice_run (held_since, run_id) WHERE state = 'held';

CREATE TABLE invoice (
    invoice_id          text PRIMARY KEY,
    run_id              text NOT NULL UNIQUE REFERENCES invoice_run,
    contract_id         text NOT NULL REFERENCES contract,
    account_id          text NOT NULL REFERENCES account,
    selling_entity_id   text NOT NULL REFERENCES selling_entity,
    currency            text NOT NULL,
    invoice_date        date NOT NULL,
    state               text NOT NULL
                        CHECK (state IN ('draft', 'tax_held', 'finalised', 'paid')),
    revision            integer NOT NULL,
    drafted_at          timestamptz NOT NULL,
    net                 numeric NOT NULL,
    kind                text CHECK (kind IN ('invoice', 'credit_note')),
    number              text UNIQUE,
    due_on              date,
    tax                 numeric,
    total               numeric,
    determination_id    text,
    tax_engine          text,
    tax_engine_version  text,
    finalised_at        timestamptz,
    paid_at             timestamptz,
    CHECK ((number IS NULL) = (state IN ('draft', 'tax_held'))),
    CHECK ((number IS NULL) = (total IS NULL)),
    CHECK (total = net + tax),
    CHECK ((state = 'paid') = (paid_at IS NOT NULL))
);
CREATE INDEX invoice_account ON invoice (account_id, invoice_date, invoice_id);
CREATE INDEX invoice_contract ON invoice (contract_id, invoice_date, invoice_id);

CREATE TABLE invoice_draft (
    invoice_id  text NOT NULL REFERENCES invoice,
    revision    integer NOT NULL,
    payload     jsonb NOT NULL,             -- InvoiceDrafted as published
    drafted_at  timestamptz NOT NULL,
    PRIMARY KEY (invoice_id, revision)
);

-- Written when the invoice is finalised, never touched again.
CREATE TABLE invoice_line (
    invoice_id       text NOT NULL REFERENCES invoice,
    number           integer NOT NULL CHECK (number > 0),
    charge_id        text,
    charge_revision  integer,
    item_id          text,
    kind             text NOT NULL,
    product_key      text NOT NULL,
    product_name     text NOT NULL,
    tax_category     text NOT NULL,
    description      text NOT NULL,
    subscription_id  text,
    quantity         numeric NOT NULL,
    unit_price       numeric,
    net              numeric NOT NULL,
    net_exact        numeric NOT NULL,
    cost             numeric NOT NULL,
    cost_currency    text NOT NULL,
    service_start    date NOT NULL,
    service_end      date NOT NULL,
    recurring        boolean NOT NULL,
    corrects         text,
    tax              numeric,
    tax_rate         numeric NOT NULL,
    tax_rate_id      text NOT NULL,
    site             jsonb,                 -- SiteAmount; of consolidated invoices only
    PRIMARY KEY (invoice_id, number),
    FOREIGN KEY (charge_id, charge_revision) REFERENCES charge_revision,
    CHECK ((charge_id IS NULL) <> (item_id IS NULL))
);
CREATE INDEX invoice_line_charge ON invoice_line (charge_id) WHERE charge_id IS NOT NULL;

CREATE TABLE invoice_tax (
    invoice_id  text NOT NULL REFERENCES invoice,
    position    integer NOT NULL,
    name        text NOT NULL,
    rate        numeric NOT NULL,
    taxable     numeric NOT NULL,
    tax         numeric NOT NULL,
    PRIMARY KEY (invoice_id, position)
);

CREATE TABLE invoice_payment (
    attempt_id           text PRIMARY KEY,
    invoice_id           text NOT NULL REFERENCES invoice,
    amount               numeric NOT NULL,
    currency             text NOT NULL,
    provider             text NOT NULL,
    provider_payment_id  text NOT NULL,
    succeeded_at         timestamptz NOT NULL
);
CREATE INDEX invoice_payment_invoice ON invoice_payment (invoice_id);

CREATE TRIGGER contract_version_is_append_only BEFORE UPDATE OR DELETE ON contract_version
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER charge_revision_is_append_only BEFORE UPDATE OR DELETE ON charge_revision
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoice_draft_is_append_only BEFORE UPDATE OR DELETE ON invoice_draft
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoice_line_is_append_only BEFORE UPDATE OR DELETE ON invoice_line
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoice_tax_is_append_only BEFORE UPDATE OR DELETE ON invoice_tax
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoice_payment_is_append_only BEFORE UPDATE OR DELETE ON invoice_payment
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoice_line_is_never_emptied BEFORE TRUNCATE ON invoice_line
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoice_tax_is_never_emptied BEFORE TRUNCATE ON invoice_tax
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoice_is_never_emptied BEFORE TRUNCATE ON invoice
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A finalised invoice takes no more lines or taxes.
CREATE FUNCTION refuse_parts_of_issued() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM invoice i WHERE i.invoice_id = NEW.invoice_id AND i.number IS NOT NULL)
    THEN
        RAISE EXCEPTION 'invoice % is finalised', NEW.invoice_id
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER invoice_line_belongs_to_a_draft BEFORE INSERT ON invoice_line
    FOR EACH ROW EXECUTE FUNCTION refuse_parts_of_issued();
CREATE TRIGGER invoice_tax_belongs_to_a_draft BEFORE INSERT ON invoice_tax
    FOR EACH ROW EXECUTE FUNCTION refuse_parts_of_issued();

-- Once an invoice has its number, only the fact of its payment can be added. It gets its number
-- only when its lines and taxes sum to its totals.
CREATE FUNCTION guard_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    lines_net numeric;
    taxes_sum numeric;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.number IS NOT NULL THEN
            RAISE EXCEPTION 'an invoice begins as a draft'
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.number IS NOT NULL THEN
        IF TG_OP = 'DELETE'
            OR to_jsonb(NEW) - 'state' - 'paid_at' <> to_jsonb(OLD) - 'state' - 'paid_at'
            OR (OLD.state = 'paid' AND (NEW.state, NEW.paid_at) <> (OLD.state, OLD.paid_at))
        THEN
            RAISE EXCEPTION 'invoice % is finalised', OLD.number
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    IF NEW.number IS NOT NULL THEN
        SELECT sum(net) INTO lines_net FROM invoice_line WHERE invoice_id = NEW.invoice_id;
        SELECT coalesce(sum(tax), 0) INTO taxes_sum FROM invoice_tax
            WHERE invoice_id = NEW.invoice_id;
        IF lines_net IS DISTINCT FROM NEW.net OR taxes_sum IS DISTINCT FROM NEW.tax THEN
            RAISE EXCEPTION 'invoice % does not add up: lines % of %, taxes % of %',
                NEW.number, lines_net, NEW.net, taxes_sum, NEW.tax
                USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER invoice_is_guarded BEFORE INSERT OR UPDATE OR DELETE ON invoice
    FOR EACH ROW EXECUTE FUNCTION guard_invoice();
"""


def upgrade() -> None:
    op.execute(UPGRADE)
