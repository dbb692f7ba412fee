CREATE SCHEMA invoicing;

CREATE FUNCTION invoicing.guard_invoice() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION invoicing.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';

END $$;

CREATE FUNCTION invoicing.refuse_parts_of_issued() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF EXISTS (SELECT FROM invoice i WHERE i.invoice_id = NEW.invoice_id AND i.number IS NOT NULL)
    THEN
        RAISE EXCEPTION 'invoice % is finalised', NEW.invoice_id
            USING ERRCODE = 'insufficient_privilege';

    END IF;

    RETURN NEW;

END $$;

CREATE TABLE invoicing.account (
    account_id text NOT NULL,
    name text NOT NULL,
    selling_entity_id text NOT NULL,
    country text NOT NULL,
    tax_jurisdiction text NOT NULL,
    currency text NOT NULL,
    parent_account_id text,
    changed_at timestamp with time zone NOT NULL
);

CREATE TABLE invoicing.charge (
    charge_id text NOT NULL,
    contract_id text NOT NULL,
    revision integer NOT NULL,
    bill_on date NOT NULL,
    amount numeric NOT NULL,
    corrects text,
    billed_revision integer,
    billed_amount numeric,
    billed_line text,
    CONSTRAINT charge_check CHECK ((((billed_revision IS NULL) = (billed_amount IS NULL)) AND ((billed_revision IS NULL) = (billed_line IS NULL))))
);

CREATE TABLE invoicing.charge_revision (
    charge_id text NOT NULL,
    revision integer NOT NULL,
    payload jsonb NOT NULL,
    event_id text NOT NULL,
    received_at timestamp with time zone NOT NULL,
    CONSTRAINT charge_revision_revision_check CHECK ((revision > 0))
);

CREATE TABLE invoicing.contract (
    contract_id text NOT NULL,
    version integer NOT NULL,
    account_id text NOT NULL,
    currency text NOT NULL,
    timing text NOT NULL,
    anchor_day integer NOT NULL,
    invoice_offset_days integer NOT NULL,
    starts_on date NOT NULL,
    billed_through date NOT NULL,
    ends_on date,
    provider_customer_id text NOT NULL,
    subscription_ids text[],
    convention text NOT NULL,
    shared_subscription_ids text[] NOT NULL,
    bill_to_account_id text,
    market text,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT contract_anchor_day_check CHECK (((anchor_day >= 1) AND (anchor_day <= 31))),
    CONSTRAINT contract_invoice_offset_days_check CHECK ((invoice_offset_days >= 0)),
    CONSTRAINT contract_timing_check CHECK ((timing = ANY (ARRAY['advance'::text, 'arrears'::text])))
);

CREATE TABLE invoicing.contract_version (
    contract_id text NOT NULL,
    version integer NOT NULL,
    terms jsonb NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    changed_by text NOT NULL
);

CREATE TABLE invoicing.fx_rate (
    source_currency text NOT NULL,
    target_currency text NOT NULL,
    rate_on date NOT NULL,
    version integer NOT NULL,
    rate numeric NOT NULL,
    source text NOT NULL,
    received_at timestamp with time zone NOT NULL,
    CONSTRAINT fx_rate_rate_check CHECK ((rate > (0)::numeric))
);

CREATE TABLE invoicing.invoice (
    invoice_id text NOT NULL,
    run_id text NOT NULL,
    contract_id text NOT NULL,
    account_id text NOT NULL,
    selling_entity_id text NOT NULL,
    currency text NOT NULL,
    invoice_date date NOT NULL,
    state text NOT NULL,
    revision integer NOT NULL,
    drafted_at timestamp with time zone NOT NULL,
    net numeric NOT NULL,
    kind text,
    number text,
    due_on date,
    tax numeric,
    total numeric,
    determination_id text,
    tax_engine text,
    tax_engine_version text,
    finalised_at timestamp with time zone,
    paid_at timestamp with time zone,
    CONSTRAINT invoice_check CHECK (((number IS NULL) = (state = ANY (ARRAY['draft'::text, 'tax_held'::text])))),
    CONSTRAINT invoice_check1 CHECK (((number IS NULL) = (total IS NULL))),
    CONSTRAINT invoice_check2 CHECK ((total = (net + tax))),
    CONSTRAINT invoice_check3 CHECK (((state = 'paid'::text) = (paid_at IS NOT NULL))),
    CONSTRAINT invoice_kind_check CHECK ((kind = ANY (ARRAY['invoice'::text, 'credit_note'::text]))),
    CONSTRAINT invoice_state_check CHECK ((state = ANY (ARRAY['draft'::text, 'tax_held'::text, 'finalised'::text, 'paid'::text])))
);

CREATE TABLE invoicing.invoice_draft (
    invoice_id text NOT NULL,
    revision integer NOT NULL,
    payload jsonb NOT NULL,
    drafted_at timestamp with time zone NOT NULL
);

CREATE TABLE invoicing.invoice_line (
    invoice_id text NOT NULL,
    number integer NOT NULL,
    charge_id text,
    charge_revision integer,
    item_id text,
    kind text NOT NULL,
    product_key text NOT NULL,
    product_name text NOT NULL,
    tax_category text NOT NULL,
    description text NOT NULL,
    subscription_id text,
    quantity numeric NOT NULL,
    unit_price numeric,
    net numeric NOT NULL,
    net_exact numeric NOT NULL,
    cost numeric NOT NULL,
    cost_currency text NOT NULL,
    service_start date NOT NULL,
    service_end date NOT NULL,
    recurring boolean NOT NULL,
    corrects text,
    tax numeric,
    tax_rate numeric NOT NULL,
    tax_rate_id text NOT NULL,
    site jsonb,
    CONSTRAINT invoice_line_check CHECK (((charge_id IS NULL) <> (item_id IS NULL))),
    CONSTRAINT invoice_line_number_check CHECK ((number > 0))
);

CREATE TABLE invoicing.invoice_payment (
    attempt_id text NOT NULL,
    invoice_id text NOT NULL,
    amount numeric NOT NULL,
    currency text NOT NULL,
    provider text NOT NULL,
    provider_payment_id text NOT NULL,
    succeeded_at timestamp with time zone NOT NULL
);

CREATE TABLE invoicing.invoice_run (
    run_id text NOT NULL,
    contract_id text NOT NULL,
    invoice_date date NOT NULL,
    state text NOT NULL,
    recurring_start date NOT NULL,
    recurring_end date NOT NULL,
    closed_start date NOT NULL,
    closed_end date NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    control_charges integer,
    control_amount numeric,
    held_reason text,
    held_detail text,
    held_since timestamp with time zone,
    invoice_id text,
    correlation_id text NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    requested_by text NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT invoice_run_check CHECK (((state = 'held'::text) = (held_reason IS NOT NULL))),
    CONSTRAINT invoice_run_state_check CHECK ((state = ANY (ARRAY['requested'::text, 'rating'::text, 'collected'::text, 'drafted'::text, 'tax_requested'::text, 'finalised'::text, 'held'::text, 'empty'::text])))
);

CREATE TABLE invoicing.invoice_sequence (
    selling_entity_id text NOT NULL,
    last_count bigint DEFAULT 0 NOT NULL
);

CREATE TABLE invoicing.invoice_tax (
    invoice_id text NOT NULL,
    "position" integer NOT NULL,
    name text NOT NULL,
    rate numeric NOT NULL,
    taxable numeric NOT NULL,
    tax numeric NOT NULL
);

CREATE TABLE invoicing.one_time_item (
    contract_id text NOT NULL,
    item_id text NOT NULL,
    product_key text NOT NULL,
    name text NOT NULL,
    tax_category text NOT NULL,
    quantity numeric NOT NULL,
    unit_price numeric NOT NULL,
    bill_on date NOT NULL,
    cost numeric NOT NULL,
    cost_currency text NOT NULL,
    added_at timestamp with time zone NOT NULL,
    added_by text NOT NULL,
    billed_line text
);

CREATE TABLE invoicing.selling_entity (
    selling_entity_id text NOT NULL,
    name text NOT NULL,
    country text NOT NULL,
    tax_mode text NOT NULL,
    invoice_prefix text NOT NULL,
    payment_terms_days integer NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT selling_entity_payment_terms_days_check CHECK ((payment_terms_days >= 0)),
    CONSTRAINT selling_entity_tax_mode_check CHECK ((tax_mode = ANY (ARRAY['per_line'::text, 'per_group'::text])))
);

ALTER TABLE ONLY invoicing.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY invoicing.charge
    ADD CONSTRAINT charge_pkey PRIMARY KEY (charge_id);

ALTER TABLE ONLY invoicing.charge_revision
    ADD CONSTRAINT charge_revision_pkey PRIMARY KEY (charge_id, revision);

ALTER TABLE ONLY invoicing.contract
    ADD CONSTRAINT contract_pkey PRIMARY KEY (contract_id);

ALTER TABLE ONLY invoicing.contract_version
    ADD CONSTRAINT contract_version_pkey PRIMARY KEY (contract_id, version);

ALTER TABLE ONLY invoicing.fx_rate
    ADD CONSTRAINT fx_rate_pkey PRIMARY KEY (source_currency, target_currency, rate_on, version);

ALTER TABLE ONLY invoicing.invoice_draft
    ADD CONSTRAINT invoice_draft_pkey PRIMARY KEY (invoice_id, revision);

ALTER TABLE ONLY invoicing.invoice_line
    ADD CONSTRAINT invoice_line_pkey PRIMARY KEY (invoice_id, number);

ALTER TABLE ONLY invoicing.invoice
    ADD CONSTRAINT invoice_number_key UNIQUE (number);

ALTER TABLE ONLY invoicing.invoice_payment
    ADD CONSTRAINT invoice_payment_pkey PRIMARY KEY (attempt_id);

ALTER TABLE ONLY invoicing.invoice
    ADD CONSTRAINT invoice_pkey PRIMARY KEY (invoice_id);

ALTER TABLE ONLY invoicing.invoice_run
    ADD CONSTRAINT invoice_run_contract_id_invoice_date_key UNIQUE (contract_id, invoice_date);

ALTER TABLE ONLY invoicing.invoice
    ADD CONSTRAINT invoice_run_id_key UNIQUE (run_id);

ALTER TABLE ONLY invoicing.invoice_run
    ADD CONSTRAINT invoice_run_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY invoicing.invoice_sequence
    ADD CONSTRAINT invoice_sequence_pkey PRIMARY KEY (selling_entity_id);

ALTER TABLE ONLY invoicing.invoice_tax
    ADD CONSTRAINT invoice_tax_pkey PRIMARY KEY (invoice_id, "position");

ALTER TABLE ONLY invoicing.one_time_item
    ADD CONSTRAINT one_time_item_pkey PRIMARY KEY (contract_id, item_id);

ALTER TABLE ONLY invoicing.selling_entity
    ADD CONSTRAINT selling_entity_invoice_prefix_key UNIQUE (invoice_prefix);

ALTER TABLE ONLY invoicing.selling_entity
    ADD CONSTRAINT selling_entity_pkey PRIMARY KEY (selling_entity_id);

CREATE INDEX charge_due ON invoicing.charge USING btree (contract_id, bill_on);

CREATE INDEX contract_account ON invoicing.contract USING btree (account_id);

CREATE INDEX contract_bill_to ON invoicing.contract USING btree (bill_to_account_id) WHERE (bill_to_account_id IS NOT NULL);

CREATE INDEX invoice_account ON invoicing.invoice USING btree (account_id, invoice_date, invoice_id);

CREATE INDEX invoice_contract ON invoicing.invoice USING btree (contract_id, invoice_date, invoice_id);

CREATE INDEX invoice_line_charge ON invoicing.invoice_line USING btree (charge_id) WHERE (charge_id IS NOT NULL);

CREATE INDEX invoice_payment_invoice ON invoicing.invoice_payment USING btree (invoice_id);

CREATE UNIQUE INDEX invoice_run_active ON invoicing.invoice_run USING btree (contract_id) WHERE (state = ANY (ARRAY['rating'::text, 'collected'::text, 'drafted'::text, 'tax_requested'::text, 'held'::text]));

CREATE INDEX invoice_run_held ON invoicing.invoice_run USING btree (held_since, run_id) WHERE (state = 'held'::text);

CREATE INDEX invoice_run_invoice ON invoicing.invoice_run USING btree (invoice_id) WHERE (invoice_id IS NOT NULL);

CREATE INDEX invoice_run_requested ON invoicing.invoice_run USING btree (invoice_date, contract_id) WHERE (state = 'requested'::text);

CREATE INDEX one_time_item_open ON invoicing.one_time_item USING btree (contract_id, bill_on) WHERE (billed_line IS NULL);

CREATE TRIGGER charge_revision_is_append_only BEFORE DELETE OR UPDATE ON invoicing.charge_revision FOR EACH ROW EXECUTE FUNCTION invoicing.refuse_change();

CREATE TRIGGER contract_version_is_append_only BEFORE DELETE OR UPDATE ON invoicing.contract_version FOR EACH ROW EXECUTE FUNCTION invoicing.refuse_change();

CREATE TRIGGER fx_rate_is_append_only BEFORE DELETE OR UPDATE ON invoicing.fx_rate FOR EACH ROW EXECUTE FUNCTION invoicing.refuse_change();

CREATE TRIGGER invoice_draft_is_append_only BEFORE DELETE OR UPDATE ON invoicing.invoice_draft FOR EACH ROW EXECUTE FUNCTION invoicing.refuse_change();

CREATE TRIGGER invoice_is_guarded BEFORE INSERT OR DELETE OR UPDATE ON invoicing.invoice FOR EACH ROW EXECUTE FUNCTION invoicing.guard_invoice();

CREATE TRIGGER invoice_is_never_emptied BEFORE TRUNCATE ON invoicing.invoice FOR EACH STATEMENT EXECUTE FUNCTION invoicing.refuse_change();

CREATE TRIGGER invoice_line_belongs_to_a_draft BEFORE INSERT ON invoicing.invoice_line FOR EACH ROW EXECUTE FUNCTION invoicing.refuse_parts_of_issued();

CREATE TRIGGER invoice_line_is_append_only BEFORE DELETE OR UPDATE ON invoicing.invoice_line FOR EACH ROW EXECUTE FUNCTION invoicing.refuse_change();

CREATE TRIGGER invoice_line_is_never_emptied BEFORE TRUNCATE ON invoicing.invoice_line FOR EACH STATEMENT EXECUTE FUNCTION invoicing.refuse_change();

CREATE TRIGGER invoice_payment_is_append_only BEFORE DELETE OR UPDATE ON invoicing.invoice_payment FOR EACH ROW EXECUTE FUNCTION invoicing.refuse_change();

CREATE TRIGGER invoice_tax_belongs_to_a_draft BEFORE INSERT ON invoicing.invoice_tax FOR EACH ROW EXECUTE FUNCTION invoicing.refuse_parts_of_issued();

CREATE TRIGGER invoice_tax_is_append_only BEFORE DELETE OR UPDATE ON invoicing.invoice_tax FOR EACH ROW EXECUTE FUNCTION invoicing.refuse_change();

CREATE TRIGGER invoice_tax_is_never_emptied BEFORE TRUNCATE ON invoicing.invoice_tax FOR EACH STATEMENT EXECUTE FUNCTION invoicing.refuse_change();

ALTER TABLE ONLY invoicing.account
    ADD CONSTRAINT account_parent_account_id_fkey FOREIGN KEY (parent_account_id) REFERENCES invoicing.account(account_id);

ALTER TABLE ONLY invoicing.account
    ADD CONSTRAINT account_selling_entity_id_fkey FOREIGN KEY (selling_entity_id) REFERENCES invoicing.selling_entity(selling_entity_id);

ALTER TABLE ONLY invoicing.charge
    ADD CONSTRAINT charge_charge_id_billed_revision_fkey FOREIGN KEY (charge_id, billed_revision) REFERENCES invoicing.charge_revision(charge_id, revision);

ALTER TABLE ONLY invoicing.charge
    ADD CONSTRAINT charge_charge_id_revision_fkey FOREIGN KEY (charge_id, revision) REFERENCES invoicing.charge_revision(charge_id, revision);

ALTER TABLE ONLY invoicing.contract
    ADD CONSTRAINT contract_account_id_fkey FOREIGN KEY (account_id) REFERENCES invoicing.account(account_id);

ALTER TABLE ONLY invoicing.contract
    ADD CONSTRAINT contract_bill_to_account_id_fkey FOREIGN KEY (bill_to_account_id) REFERENCES invoicing.account(account_id);

ALTER TABLE ONLY invoicing.contract_version
    ADD CONSTRAINT contract_version_contract_id_fkey FOREIGN KEY (contract_id) REFERENCES invoicing.contract(contract_id);

ALTER TABLE ONLY invoicing.invoice
    ADD CONSTRAINT invoice_account_id_fkey FOREIGN KEY (account_id) REFERENCES invoicing.account(account_id);

ALTER TABLE ONLY invoicing.invoice
    ADD CONSTRAINT invoice_contract_id_fkey FOREIGN KEY (contract_id) REFERENCES invoicing.contract(contract_id);

ALTER TABLE ONLY invoicing.invoice_draft
    ADD CONSTRAINT invoice_draft_invoice_id_fkey FOREIGN KEY (invoice_id) REFERENCES invoicing.invoice(invoice_id);

ALTER TABLE ONLY invoicing.invoice_line
    ADD CONSTRAINT invoice_line_charge_id_charge_revision_fkey FOREIGN KEY (charge_id, charge_revision) REFERENCES invoicing.charge_revision(charge_id, revision);

ALTER TABLE ONLY invoicing.invoice_line
    ADD CONSTRAINT invoice_line_invoice_id_fkey FOREIGN KEY (invoice_id) REFERENCES invoicing.invoice(invoice_id);

ALTER TABLE ONLY invoicing.invoice_payment
    ADD CONSTRAINT invoice_payment_invoice_id_fkey FOREIGN KEY (invoice_id) REFERENCES invoicing.invoice(invoice_id);

ALTER TABLE ONLY invoicing.invoice_run
    ADD CONSTRAINT invoice_run_contract_id_fkey FOREIGN KEY (contract_id) REFERENCES invoicing.contract(contract_id);

ALTER TABLE ONLY invoicing.invoice
    ADD CONSTRAINT invoice_run_id_fkey FOREIGN KEY (run_id) REFERENCES invoicing.invoice_run(run_id);

ALTER TABLE ONLY invoicing.invoice
    ADD CONSTRAINT invoice_selling_entity_id_fkey FOREIGN KEY (selling_entity_id) REFERENCES invoicing.selling_entity(selling_entity_id);

ALTER TABLE ONLY invoicing.invoice_sequence
    ADD CONSTRAINT invoice_sequence_selling_entity_id_fkey FOREIGN KEY (selling_entity_id) REFERENCES invoicing.selling_entity(selling_entity_id);

ALTER TABLE ONLY invoicing.invoice_tax
    ADD CONSTRAINT invoice_tax_invoice_id_fkey FOREIGN KEY (invoice_id) REFERENCES invoicing.invoice(invoice_id);

ALTER TABLE ONLY invoicing.one_time_item
    ADD CONSTRAINT one_time_item_contract_id_fkey FOREIGN KEY (contract_id) REFERENCES invoicing.contract(contract_id);
