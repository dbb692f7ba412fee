CREATE SCHEMA rating;

CREATE FUNCTION rating.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';

END $$;

CREATE TABLE rating.allocation (
    allocation_id text NOT NULL,
    subscription_id text NOT NULL,
    kind text NOT NULL,
    effective_on date NOT NULL,
    body jsonb NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    recorded_by text NOT NULL,
    CONSTRAINT allocation_kind_check CHECK ((kind = ANY (ARRAY['opening'::text, 'move'::text, 'change'::text, 'default'::text])))
);

CREATE TABLE rating.azure_subscription (
    customer_id text NOT NULL,
    azure_subscription_id text NOT NULL,
    name text NOT NULL
);

CREATE TABLE rating.charge (
    charge_id text NOT NULL,
    revision integer NOT NULL,
    contract_id text NOT NULL,
    kind text NOT NULL,
    subscription_id text,
    bill_on date NOT NULL,
    amount numeric NOT NULL,
    currency text NOT NULL,
    body jsonb NOT NULL,
    rated_at timestamp with time zone NOT NULL
);

CREATE TABLE rating.charge_revision (
    charge_id text NOT NULL,
    revision integer NOT NULL,
    body jsonb NOT NULL,
    rated_at timestamp with time zone NOT NULL,
    cause text
);

CREATE TABLE rating.contract_version (
    contract_id text NOT NULL,
    version integer NOT NULL,
    provider_customer_id text NOT NULL,
    body jsonb NOT NULL,
    recorded_at timestamp with time zone NOT NULL
);

CREATE TABLE rating.cycle (
    run_id text NOT NULL,
    contract_id text NOT NULL,
    invoice_date date NOT NULL,
    closed_end date NOT NULL,
    body jsonb NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    answered_at timestamp with time zone
);

CREATE TABLE rating.due (
    kind text NOT NULL,
    customer_id text NOT NULL,
    since timestamp with time zone NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    asked bigint NOT NULL,
    CONSTRAINT due_kind_check CHECK ((kind = ANY (ARRAY['rerate'::text, 'settle'::text])))
);

ALTER TABLE rating.due ALTER COLUMN asked ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME rating.due_asked_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE rating.fx_rate (
    source_currency text NOT NULL,
    target_currency text NOT NULL,
    rate_on date NOT NULL,
    version integer NOT NULL,
    rate numeric NOT NULL,
    source text NOT NULL,
    entered_at timestamp with time zone NOT NULL,
    entered_by text NOT NULL,
    reason text,
    approved_by text,
    change_id text,
    CONSTRAINT fx_rate_rate_check CHECK ((rate > (0)::numeric)),
    CONSTRAINT fx_rate_version_check CHECK ((version > 0))
);

CREATE TABLE rating.hold (
    hold_id text NOT NULL,
    scope text NOT NULL,
    contract_id text,
    customer_id text,
    reason text NOT NULL,
    object text NOT NULL,
    key text NOT NULL,
    detail text NOT NULL,
    since timestamp with time zone NOT NULL,
    released_at timestamp with time zone
);

CREATE TABLE rating.licence_change (
    seq bigint NOT NULL,
    entry_id text NOT NULL,
    change_id text NOT NULL,
    contract_id text NOT NULL,
    subscription_id text NOT NULL,
    body jsonb NOT NULL,
    logged_at timestamp with time zone NOT NULL
);

ALTER TABLE rating.licence_change ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME rating.licence_change_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE rating.price_change (
    change_id text NOT NULL,
    state text NOT NULL,
    items jsonb NOT NULL,
    fingerprint text NOT NULL,
    reason text NOT NULL,
    author text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    effect jsonb NOT NULL,
    decided_by text,
    decided_at timestamp with time zone,
    decision text,
    CONSTRAINT price_change_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'active'::text, 'rejected'::text])))
);

CREATE TABLE rating.price_row (
    sheet_id text NOT NULL,
    product_key text NOT NULL,
    segment text NOT NULL,
    effective_from date NOT NULL,
    effective_until date,
    market text NOT NULL,
    currency text NOT NULL,
    product_name text NOT NULL,
    unit_price numeric NOT NULL,
    erp_price numeric NOT NULL,
    fetched_at timestamp with time zone NOT NULL
);

CREATE TABLE rating.price_rule_version (
    rule_id text NOT NULL,
    version integer NOT NULL,
    kind text NOT NULL,
    contract_id text,
    customer_id text,
    product_key text,
    meter_category text,
    azure_subscription_id text,
    term text,
    billing_plan text,
    segment text,
    priority integer NOT NULL,
    valid_from date NOT NULL,
    valid_until date,
    price jsonb NOT NULL,
    entered_at timestamp with time zone NOT NULL,
    entered_by text NOT NULL,
    reason text,
    approved_by text,
    change_id text,
    CONSTRAINT price_rule_version_version_check CHECK ((version > 0))
);

CREATE TABLE rating.price_sheet (
    sheet_id text NOT NULL,
    market text NOT NULL,
    currency text NOT NULL,
    view text NOT NULL,
    month date NOT NULL,
    fetched_at timestamp with time zone NOT NULL,
    parts integer NOT NULL,
    parts_here integer[] NOT NULL,
    rows integer NOT NULL,
    replaced_by text
);

CREATE TABLE rating.promotion_version (
    promotion_id text NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    contract_id text,
    customer_id text,
    product_key text,
    term text,
    billing_plan text,
    segment text,
    percent numeric NOT NULL,
    starts date NOT NULL,
    ends date,
    keeps text NOT NULL,
    seat_cap integer,
    first_purchase boolean NOT NULL,
    priority integer NOT NULL,
    entered_at timestamp with time zone NOT NULL,
    entered_by text NOT NULL,
    reason text,
    approved_by text,
    change_id text,
    CONSTRAINT promotion_version_keeps_check CHECK ((keeps = ANY (ARRAY['term'::text, 'cycle'::text]))),
    CONSTRAINT promotion_version_version_check CHECK ((version > 0))
);

CREATE TABLE rating.provider_purchase (
    seq bigint NOT NULL,
    purchase_id text NOT NULL,
    version text NOT NULL,
    customer_id text NOT NULL,
    body jsonb NOT NULL,
    recorded_at timestamp with time zone NOT NULL
);

ALTER TABLE rating.provider_purchase ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME rating.provider_purchase_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE rating.rated_usage_line (
    batch bigint NOT NULL,
    line_number bigint NOT NULL,
    row_no integer NOT NULL,
    "position" integer NOT NULL,
    usage_date date NOT NULL,
    quantity numeric NOT NULL,
    line_id text NOT NULL
);

CREATE TABLE rating.renewal_schedule (
    subscription_id text NOT NULL,
    snapshot bigint NOT NULL,
    customer_id text NOT NULL,
    body jsonb NOT NULL,
    recorded_at timestamp with time zone NOT NULL
);

CREATE TABLE rating.subscription_change (
    change_id text NOT NULL,
    subscription_id text NOT NULL,
    customer_id text NOT NULL,
    product_key text NOT NULL,
    effective_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    body jsonb NOT NULL,
    recorded_at timestamp with time zone NOT NULL
);

CREATE TABLE rating.usage_batch (
    id bigint NOT NULL,
    src text NOT NULL,
    file_id text NOT NULL,
    lines integer NOT NULL,
    frame bytea NOT NULL,
    recorded_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY rating.usage_batch ALTER COLUMN frame SET STORAGE EXTERNAL;

ALTER TABLE rating.usage_batch ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME rating.usage_batch_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE rating.usage_delta (
    batch bigint NOT NULL,
    "position" integer NOT NULL,
    lines integer NOT NULL,
    customer_id text NOT NULL,
    contract_id text,
    outcome text NOT NULL,
    rule_id text,
    rule_version integer,
    azure_subscription_id text NOT NULL,
    meter_category text NOT NULL,
    meter_id text NOT NULL,
    meter_name text NOT NULL,
    product_key text NOT NULL,
    unit text NOT NULL,
    usage_month date NOT NULL,
    unit_price numeric NOT NULL,
    effective_unit_price numeric NOT NULL,
    pec_rate numeric NOT NULL,
    pricing_currency text NOT NULL,
    billing_currency text NOT NULL,
    provider_rate numeric NOT NULL,
    provider_rate_on date,
    quantity numeric NOT NULL,
    billing_pretax numeric NOT NULL
);

CREATE TABLE rating.usage_file (
    file_id text NOT NULL,
    data_set text NOT NULL,
    invoice_number text,
    billing_month date NOT NULL,
    estimate boolean NOT NULL,
    state text DEFAULT 'receiving'::text NOT NULL,
    batches integer DEFAULT 0 NOT NULL,
    lines bigint DEFAULT 0 NOT NULL,
    quantity numeric DEFAULT 0 NOT NULL,
    billing_pretax numeric DEFAULT 0 NOT NULL,
    control jsonb,
    closed_at timestamp with time zone,
    completed_at timestamp with time zone,
    CONSTRAINT usage_file_state_check CHECK ((state = ANY (ARRAY['receiving'::text, 'incomplete'::text, 'mismatch'::text, 'current'::text, 'superseded'::text])))
);

ALTER TABLE ONLY rating.allocation
    ADD CONSTRAINT allocation_pkey PRIMARY KEY (allocation_id);

ALTER TABLE ONLY rating.azure_subscription
    ADD CONSTRAINT azure_subscription_pkey PRIMARY KEY (customer_id, azure_subscription_id);

ALTER TABLE ONLY rating.charge
    ADD CONSTRAINT charge_pkey PRIMARY KEY (charge_id);

ALTER TABLE ONLY rating.charge_revision
    ADD CONSTRAINT charge_revision_pkey PRIMARY KEY (charge_id, revision);

ALTER TABLE ONLY rating.contract_version
    ADD CONSTRAINT contract_version_pkey PRIMARY KEY (contract_id, version);

ALTER TABLE ONLY rating.cycle
    ADD CONSTRAINT cycle_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY rating.due
    ADD CONSTRAINT due_pkey PRIMARY KEY (kind, customer_id);

ALTER TABLE ONLY rating.fx_rate
    ADD CONSTRAINT fx_rate_pkey PRIMARY KEY (source_currency, target_currency, rate_on, version);

ALTER TABLE ONLY rating.hold
    ADD CONSTRAINT hold_pkey PRIMARY KEY (hold_id);

ALTER TABLE ONLY rating.licence_change
    ADD CONSTRAINT licence_change_pkey PRIMARY KEY (entry_id);

ALTER TABLE ONLY rating.price_change
    ADD CONSTRAINT price_change_pkey PRIMARY KEY (change_id);

ALTER TABLE ONLY rating.price_row
    ADD CONSTRAINT price_row_pkey PRIMARY KEY (sheet_id, product_key, segment, effective_from);

ALTER TABLE ONLY rating.price_rule_version
    ADD CONSTRAINT price_rule_version_pkey PRIMARY KEY (rule_id, version);

ALTER TABLE ONLY rating.price_sheet
    ADD CONSTRAINT price_sheet_pkey PRIMARY KEY (sheet_id);

ALTER TABLE ONLY rating.promotion_version
    ADD CONSTRAINT promotion_version_pkey PRIMARY KEY (promotion_id, version);

ALTER TABLE ONLY rating.provider_purchase
    ADD CONSTRAINT provider_purchase_pkey PRIMARY KEY (purchase_id, version);

ALTER TABLE ONLY rating.renewal_schedule
    ADD CONSTRAINT renewal_schedule_pkey PRIMARY KEY (subscription_id, snapshot);

ALTER TABLE ONLY rating.subscription_change
    ADD CONSTRAINT subscription_change_pkey PRIMARY KEY (change_id);

ALTER TABLE ONLY rating.usage_batch
    ADD CONSTRAINT usage_batch_pkey PRIMARY KEY (id);

ALTER TABLE ONLY rating.usage_batch
    ADD CONSTRAINT usage_batch_src_key UNIQUE (src);

ALTER TABLE ONLY rating.usage_delta
    ADD CONSTRAINT usage_delta_pkey PRIMARY KEY (batch, "position");

ALTER TABLE ONLY rating.usage_file
    ADD CONSTRAINT usage_file_pkey PRIMARY KEY (file_id);

CREATE INDEX allocation_subscription ON rating.allocation USING btree (subscription_id, effective_on, allocation_id);

CREATE INDEX charge_contract ON rating.charge USING btree (contract_id, bill_on, charge_id);

CREATE INDEX charge_subscription ON rating.charge USING btree (contract_id, subscription_id);

CREATE INDEX contract_version_customer ON rating.contract_version USING btree (provider_customer_id);

CREATE INDEX cycle_contract ON rating.cycle USING btree (contract_id, closed_end);

CREATE INDEX hold_open ON rating.hold USING btree (since, hold_id) WHERE (released_at IS NULL);

CREATE INDEX hold_open_scope ON rating.hold USING btree (scope) WHERE (released_at IS NULL);

CREATE INDEX licence_change_change ON rating.licence_change USING btree (change_id);

CREATE INDEX licence_change_subscription ON rating.licence_change USING btree (subscription_id, seq);

CREATE INDEX price_change_state ON rating.price_change USING btree (state, created_at);

CREATE UNIQUE INDEX price_change_waiting ON rating.price_change USING btree (fingerprint) WHERE (state = 'waiting'::text);

CREATE INDEX price_row_product ON rating.price_row USING btree (product_key, segment);

CREATE INDEX price_row_sheet ON rating.price_row USING btree (sheet_id, product_key);

CREATE INDEX price_rule_kind ON rating.price_rule_version USING btree (kind, contract_id, customer_id);

CREATE INDEX price_sheet_month ON rating.price_sheet USING btree (market, currency, view, month);

CREATE INDEX provider_purchase_customer ON rating.provider_purchase USING btree (customer_id);

CREATE INDEX rated_usage_line_batch ON rating.rated_usage_line USING brin (batch) WITH (pages_per_range='16');

CREATE INDEX renewal_schedule_customer ON rating.renewal_schedule USING btree (customer_id);

CREATE INDEX subscription_change_customer ON rating.subscription_change USING btree (customer_id, subscription_id);

CREATE INDEX subscription_change_product ON rating.subscription_change USING btree (product_key);

CREATE INDEX subscription_change_subscription ON rating.subscription_change USING btree (subscription_id);

CREATE INDEX usage_batch_file ON rating.usage_batch USING btree (file_id);

CREATE INDEX usage_delta_contract ON rating.usage_delta USING btree (contract_id, usage_month);

CREATE INDEX usage_delta_customer ON rating.usage_delta USING btree (customer_id, batch);

CREATE UNIQUE INDEX usage_file_current ON rating.usage_file USING btree (data_set) WHERE (state = 'current'::text);

CREATE INDEX usage_file_month ON rating.usage_file USING btree (billing_month, state);

CREATE TRIGGER fact_is_kept BEFORE DELETE OR UPDATE ON rating.allocation FOR EACH ROW EXECUTE FUNCTION rating.refuse_change();

CREATE TRIGGER fact_is_kept BEFORE DELETE OR UPDATE ON rating.charge_revision FOR EACH ROW EXECUTE FUNCTION rating.refuse_change();

CREATE TRIGGER fact_is_kept BEFORE DELETE OR UPDATE ON rating.contract_version FOR EACH ROW EXECUTE FUNCTION rating.refuse_change();

CREATE TRIGGER fact_is_kept BEFORE DELETE OR UPDATE ON rating.fx_rate FOR EACH ROW EXECUTE FUNCTION rating.refuse_change();

CREATE TRIGGER fact_is_kept BEFORE DELETE OR UPDATE ON rating.licence_change FOR EACH ROW EXECUTE FUNCTION rating.refuse_change();

CREATE TRIGGER fact_is_kept BEFORE DELETE OR UPDATE ON rating.price_row FOR EACH ROW EXECUTE FUNCTION rating.refuse_change();

CREATE TRIGGER fact_is_kept BEFORE DELETE OR UPDATE ON rating.price_rule_version FOR EACH ROW EXECUTE FUNCTION rating.refuse_change();

CREATE TRIGGER fact_is_kept BEFORE DELETE OR UPDATE ON rating.promotion_version FOR EACH ROW EXECUTE FUNCTION rating.refuse_change();

CREATE TRIGGER fact_is_kept BEFORE DELETE OR UPDATE ON rating.provider_purchase FOR EACH ROW EXECUTE FUNCTION rating.refuse_change();

CREATE TRIGGER fact_is_kept BEFORE DELETE OR UPDATE ON rating.renewal_schedule FOR EACH ROW EXECUTE FUNCTION rating.refuse_change();

CREATE TRIGGER fact_is_kept BEFORE DELETE OR UPDATE ON rating.subscription_change FOR EACH ROW EXECUTE FUNCTION rating.refuse_change();

CREATE TRIGGER fact_is_kept BEFORE DELETE OR UPDATE ON rating.usage_batch FOR EACH ROW EXECUTE FUNCTION rating.refuse_change();

ALTER TABLE ONLY rating.usage_batch
    ADD CONSTRAINT usage_batch_file_id_fkey FOREIGN KEY (file_id) REFERENCES rating.usage_file(file_id);

ALTER TABLE ONLY rating.usage_delta
    ADD CONSTRAINT usage_delta_batch_fkey FOREIGN KEY (batch) REFERENCES rating.usage_batch(id);
