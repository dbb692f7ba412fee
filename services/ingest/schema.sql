CREATE SCHEMA ingest;

CREATE FUNCTION ingest.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';

END $$;

CREATE TABLE ingest.audit_record (
    account_id text NOT NULL,
    record_id text NOT NULL,
    customer_id text NOT NULL,
    operation text NOT NULL,
    resource_type text NOT NULL,
    status text NOT NULL,
    operation_at timestamp with time zone NOT NULL,
    actor text NOT NULL,
    document jsonb NOT NULL,
    first_seen_at timestamp with time zone NOT NULL
);

CREATE TABLE ingest.audit_record_subscription (
    account_id text NOT NULL,
    subscription_id text NOT NULL,
    record_id text NOT NULL,
    operation_at timestamp with time zone NOT NULL
);

CREATE TABLE ingest.customer (
    account_id text NOT NULL,
    customer_id text NOT NULL,
    name text NOT NULL,
    resource jsonb NOT NULL,
    first_seen_at timestamp with time zone NOT NULL,
    swept_at timestamp with time zone
);

CREATE TABLE ingest.export (
    id text NOT NULL,
    account_id text NOT NULL,
    kind text NOT NULL,
    data_set text NOT NULL,
    invoice_number text,
    currency text,
    period text,
    state text NOT NULL,
    operation_id text,
    file_id text,
    outcome text,
    requested_by text NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    attempts integer DEFAULT 0 NOT NULL,
    waits_until timestamp with time zone,
    due_at timestamp with time zone NOT NULL,
    leased_until timestamp with time zone,
    lease text,
    reason text,
    CONSTRAINT export_kind_check CHECK ((kind = ANY (ARRAY['usage'::text, 'reconciliation'::text]))),
    CONSTRAINT export_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'running'::text, 'waiting'::text, 'done'::text, 'failed'::text])))
);

CREATE TABLE ingest.price_sheet (
    sheet_id text NOT NULL,
    market text NOT NULL,
    currency text NOT NULL,
    view text NOT NULL,
    basis text NOT NULL,
    sha256 text NOT NULL,
    rows integer NOT NULL,
    refused integer NOT NULL,
    fetched_at timestamp with time zone NOT NULL,
    number bigint NOT NULL
);

CREATE TABLE ingest.price_sheet_import (
    id text NOT NULL,
    account_id text NOT NULL,
    market text NOT NULL,
    currency text NOT NULL,
    view text NOT NULL,
    state text NOT NULL,
    sheet_id text,
    outcome text,
    requested_by text NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    attempts integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone NOT NULL,
    leased_until timestamp with time zone,
    lease text,
    reason text,
    CONSTRAINT price_sheet_import_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'running'::text, 'done'::text, 'failed'::text])))
);

ALTER TABLE ingest.price_sheet ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME ingest.price_sheet_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE ingest.provider_account (
    account_id text NOT NULL,
    tenant_id text NOT NULL,
    first_synced_at timestamp with time zone NOT NULL,
    records_until date
);

CREATE TABLE ingest.provider_file (
    file_id text NOT NULL,
    account_id text NOT NULL,
    kind text NOT NULL,
    data_set text NOT NULL,
    number bigint NOT NULL,
    etag text NOT NULL,
    version text NOT NULL,
    invoice_number text,
    billing_period_start date,
    billing_period_end date,
    estimate boolean NOT NULL,
    state text NOT NULL,
    blobs integer NOT NULL,
    lines_read bigint DEFAULT 0 NOT NULL,
    batches integer DEFAULT 0 NOT NULL,
    lines bigint DEFAULT 0 NOT NULL,
    quantity numeric DEFAULT 0 NOT NULL,
    billing_pretax numeric DEFAULT 0 NOT NULL,
    quarantined bigint DEFAULT 0 NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    CONSTRAINT provider_file_state_check CHECK ((state = ANY (ARRAY['loading'::text, 'closed'::text])))
);

ALTER TABLE ingest.provider_file ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME ingest.provider_file_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE ingest.provider_line (
    file_id text NOT NULL,
    line_number bigint NOT NULL,
    line_id text NOT NULL,
    kind text NOT NULL,
    charge_type text NOT NULL,
    customer_id text NOT NULL,
    subscription_id text NOT NULL,
    charge_start date NOT NULL,
    charge_end date NOT NULL,
    quantity numeric NOT NULL,
    subtotal numeric NOT NULL,
    currency text NOT NULL,
    published boolean NOT NULL
);

CREATE TABLE ingest.quarantine (
    id bigint NOT NULL,
    source text NOT NULL,
    source_id text NOT NULL,
    line_number bigint NOT NULL,
    code text NOT NULL,
    detail text NOT NULL,
    raw text NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT quarantine_source_check CHECK ((source = ANY (ARRAY['usage'::text, 'reconciliation'::text, 'price-sheet'::text, 'webhook'::text])))
);

ALTER TABLE ingest.quarantine ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME ingest.quarantine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE ingest.raw_chunk (
    file_id text NOT NULL,
    first_line bigint NOT NULL,
    lines integer NOT NULL,
    raw_bytes integer NOT NULL,
    content bytea NOT NULL
);

ALTER TABLE ONLY ingest.raw_chunk ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE ingest.subscription (
    subscription_id text NOT NULL,
    account_id text NOT NULL,
    customer_id text NOT NULL,
    licence boolean NOT NULL,
    state jsonb NOT NULL,
    start_state jsonb NOT NULL,
    started_at timestamp with time zone NOT NULL,
    scheduled_quantity integer,
    resource jsonb NOT NULL,
    version integer NOT NULL,
    snapshot_id bigint NOT NULL,
    observed_at timestamp with time zone NOT NULL,
    read_at timestamp with time zone NOT NULL,
    first_seen_at timestamp with time zone NOT NULL
);

CREATE TABLE ingest.subscription_check (
    account_id text NOT NULL,
    subscription_id text NOT NULL,
    customer_id text NOT NULL,
    channel text NOT NULL,
    requested bigint NOT NULL,
    handled bigint DEFAULT 0 NOT NULL,
    looks integer DEFAULT 0 NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone NOT NULL,
    leased_until timestamp with time zone,
    lease text,
    failed boolean DEFAULT false NOT NULL,
    reason text,
    correlation_id text NOT NULL,
    changed_at timestamp with time zone NOT NULL
);

CREATE TABLE ingest.subscription_order (
    id text NOT NULL,
    account_id text NOT NULL,
    number bigint NOT NULL,
    lane text NOT NULL,
    customer_id text NOT NULL,
    subscription_id text,
    kind text NOT NULL,
    wish jsonb NOT NULL,
    state text NOT NULL,
    round integer DEFAULT 0 NOT NULL,
    correlation_id text NOT NULL,
    baseline jsonb,
    checked_at timestamp with time zone,
    body jsonb,
    unsure_since timestamp with time zone,
    accepted boolean DEFAULT false NOT NULL,
    restores boolean DEFAULT false NOT NULL,
    code text,
    detail text,
    offer jsonb,
    provider_code text,
    provider_words text,
    result jsonb,
    requested_by text NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    attempts integer DEFAULT 0 NOT NULL,
    waiting_since timestamp with time zone,
    due_at timestamp with time zone NOT NULL,
    leased_until timestamp with time zone,
    lease text,
    CONSTRAINT subscription_order_state_check CHECK ((state = ANY (ARRAY['planned'::text, 'checked'::text, 'sending'::text, 'unknown'::text, 'confirmed'::text, 'refused'::text, 'cancelled'::text, 'unclear'::text])))
);

CREATE TABLE ingest.subscription_order_history (
    order_id text NOT NULL,
    id bigint NOT NULL,
    state text NOT NULL,
    detail text NOT NULL,
    at timestamp with time zone NOT NULL
);

ALTER TABLE ingest.subscription_order_history ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME ingest.subscription_order_history_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ingest.subscription_order ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME ingest.subscription_order_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE ingest.subscription_snapshot (
    id bigint CONSTRAINT subscription_snapshot_id_not_null1 NOT NULL,
    subscription_id text NOT NULL,
    observed_at timestamp with time zone NOT NULL,
    resource jsonb NOT NULL
);

ALTER TABLE ingest.subscription_snapshot ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME ingest.subscription_snapshot_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE ingest.subscription_step (
    subscription_id text NOT NULL,
    version integer NOT NULL,
    change_id text NOT NULL,
    kind text NOT NULL,
    quantity_before integer NOT NULL,
    quantity_after integer NOT NULL,
    before jsonb,
    after jsonb NOT NULL,
    effective_at timestamp with time zone NOT NULL,
    placed_at timestamp with time zone NOT NULL,
    detected_at timestamp with time zone NOT NULL,
    estimated_time boolean NOT NULL,
    channel text NOT NULL,
    audit_record_id text,
    webhook_id text,
    actor text,
    snapshot_id bigint NOT NULL,
    supersedes text
);

CREATE TABLE ingest.sync (
    id text NOT NULL,
    account_id text NOT NULL,
    state text NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    customers integer,
    differing integer DEFAULT 0 NOT NULL,
    records integer DEFAULT 0 NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone NOT NULL,
    leased_until timestamp with time zone,
    lease text,
    reason text,
    CONSTRAINT sync_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'running'::text, 'done'::text, 'failed'::text])))
);

CREATE TABLE ingest.sync_customer (
    sync_id text NOT NULL,
    customer_id text NOT NULL,
    state text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone NOT NULL,
    leased_until timestamp with time zone,
    lease text,
    reason text,
    CONSTRAINT sync_customer_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'done'::text, 'failed'::text])))
);

CREATE TABLE ingest.webhook_delivery (
    id text NOT NULL,
    account_id text NOT NULL,
    event_name text NOT NULL,
    customer_id text,
    subscription_id text,
    invoice_id text,
    audit_record_id text,
    changed_at timestamp with time zone,
    body bytea NOT NULL,
    state text NOT NULL,
    outcome text,
    receptions integer DEFAULT 1 NOT NULL,
    received_at timestamp with time zone NOT NULL,
    handled_at timestamp with time zone,
    CONSTRAINT webhook_delivery_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'done'::text, 'ignored'::text, 'quarantined'::text])))
);

ALTER TABLE ONLY ingest.audit_record
    ADD CONSTRAINT audit_record_pkey PRIMARY KEY (account_id, record_id);

ALTER TABLE ONLY ingest.audit_record_subscription
    ADD CONSTRAINT audit_record_subscription_pkey PRIMARY KEY (account_id, subscription_id, operation_at, record_id);

ALTER TABLE ONLY ingest.customer
    ADD CONSTRAINT customer_pkey PRIMARY KEY (account_id, customer_id);

ALTER TABLE ONLY ingest.export
    ADD CONSTRAINT export_pkey PRIMARY KEY (id);

ALTER TABLE ONLY ingest.price_sheet_import
    ADD CONSTRAINT price_sheet_import_pkey PRIMARY KEY (id);

ALTER TABLE ONLY ingest.price_sheet
    ADD CONSTRAINT price_sheet_pkey PRIMARY KEY (sheet_id);

ALTER TABLE ONLY ingest.provider_account
    ADD CONSTRAINT provider_account_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY ingest.provider_file
    ADD CONSTRAINT provider_file_kind_data_set_number_key UNIQUE (kind, data_set, number);

ALTER TABLE ONLY ingest.provider_file
    ADD CONSTRAINT provider_file_kind_data_set_version_key UNIQUE (kind, data_set, version);

ALTER TABLE ONLY ingest.provider_file
    ADD CONSTRAINT provider_file_pkey PRIMARY KEY (file_id);

ALTER TABLE ONLY ingest.provider_line
    ADD CONSTRAINT provider_line_pkey PRIMARY KEY (file_id, line_number);

ALTER TABLE ONLY ingest.quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (id);

ALTER TABLE ONLY ingest.quarantine
    ADD CONSTRAINT quarantine_source_source_id_line_number_key UNIQUE (source, source_id, line_number);

ALTER TABLE ONLY ingest.raw_chunk
    ADD CONSTRAINT raw_chunk_pkey PRIMARY KEY (file_id, first_line);

ALTER TABLE ONLY ingest.subscription_check
    ADD CONSTRAINT subscription_check_pkey PRIMARY KEY (account_id, subscription_id);

ALTER TABLE ONLY ingest.subscription_order
    ADD CONSTRAINT subscription_order_correlation_id_key UNIQUE (correlation_id);

ALTER TABLE ONLY ingest.subscription_order_history
    ADD CONSTRAINT subscription_order_history_pkey PRIMARY KEY (order_id, id);

ALTER TABLE ONLY ingest.subscription_order
    ADD CONSTRAINT subscription_order_pkey PRIMARY KEY (id);

ALTER TABLE ONLY ingest.subscription
    ADD CONSTRAINT subscription_pkey PRIMARY KEY (subscription_id);

ALTER TABLE ONLY ingest.subscription_snapshot
    ADD CONSTRAINT subscription_snapshot_pkey PRIMARY KEY (id);

ALTER TABLE ONLY ingest.subscription_step
    ADD CONSTRAINT subscription_step_change_id_key UNIQUE (change_id);

ALTER TABLE ONLY ingest.subscription_step
    ADD CONSTRAINT subscription_step_pkey PRIMARY KEY (subscription_id, version);

ALTER TABLE ONLY ingest.sync_customer
    ADD CONSTRAINT sync_customer_pkey PRIMARY KEY (sync_id, customer_id);

ALTER TABLE ONLY ingest.sync
    ADD CONSTRAINT sync_pkey PRIMARY KEY (id);

ALTER TABLE ONLY ingest.webhook_delivery
    ADD CONSTRAINT webhook_delivery_pkey PRIMARY KEY (id);

CREATE INDEX export_open ON ingest.export USING btree (due_at) WHERE (state = ANY (ARRAY['pending'::text, 'running'::text, 'waiting'::text]));

CREATE INDEX export_requested ON ingest.export USING btree (requested_at DESC, id);

CREATE INDEX price_sheet_import_open ON ingest.price_sheet_import USING btree (due_at) WHERE (state = ANY (ARRAY['pending'::text, 'running'::text]));

CREATE INDEX price_sheet_latest ON ingest.price_sheet USING btree (market, currency, view, number);

CREATE INDEX provider_line_identity ON ingest.provider_line USING btree (line_id);

CREATE INDEX provider_line_subscription ON ingest.provider_line USING btree (subscription_id);

CREATE INDEX subscription_check_due ON ingest.subscription_check USING btree (due_at) WHERE ((requested > handled) AND (NOT failed));

CREATE INDEX subscription_customer ON ingest.subscription USING btree (customer_id, subscription_id);

CREATE INDEX subscription_order_of ON ingest.subscription_order USING btree (subscription_id, number);

CREATE INDEX subscription_order_open ON ingest.subscription_order USING btree (lane, number) WHERE (state = ANY (ARRAY['planned'::text, 'checked'::text, 'sending'::text, 'unknown'::text]));

CREATE INDEX subscription_snapshot_of ON ingest.subscription_snapshot USING btree (subscription_id, id);

CREATE INDEX sync_customer_open ON ingest.sync_customer USING btree (due_at) WHERE (state = 'pending'::text);

CREATE INDEX sync_of_account ON ingest.sync USING btree (account_id, requested_at DESC);

CREATE INDEX sync_open ON ingest.sync USING btree (due_at) WHERE (state = ANY (ARRAY['pending'::text, 'running'::text]));

CREATE INDEX sync_requested ON ingest.sync USING btree (requested_at DESC);

CREATE INDEX webhook_delivery_pending ON ingest.webhook_delivery USING btree (account_id, subscription_id) WHERE (state = 'pending'::text);

CREATE INDEX webhook_delivery_record ON ingest.webhook_delivery USING btree (audit_record_id) WHERE (audit_record_id IS NOT NULL);

CREATE TRIGGER subscription_order_history_is_append_only BEFORE DELETE OR UPDATE ON ingest.subscription_order_history FOR EACH ROW EXECUTE FUNCTION ingest.refuse_change();

CREATE TRIGGER subscription_snapshot_is_append_only BEFORE DELETE OR UPDATE ON ingest.subscription_snapshot FOR EACH ROW EXECUTE FUNCTION ingest.refuse_change();

CREATE TRIGGER subscription_step_is_append_only BEFORE DELETE OR UPDATE ON ingest.subscription_step FOR EACH ROW EXECUTE FUNCTION ingest.refuse_change();

ALTER TABLE ONLY ingest.audit_record_subscription
    ADD CONSTRAINT audit_record_subscription_account_id_record_id_fkey FOREIGN KEY (account_id, record_id) REFERENCES ingest.audit_record(account_id, record_id);

ALTER TABLE ONLY ingest.provider_line
    ADD CONSTRAINT provider_line_file_id_fkey FOREIGN KEY (file_id) REFERENCES ingest.provider_file(file_id);

ALTER TABLE ONLY ingest.raw_chunk
    ADD CONSTRAINT raw_chunk_file_id_fkey FOREIGN KEY (file_id) REFERENCES ingest.provider_file(file_id);

ALTER TABLE ONLY ingest.subscription_order_history
    ADD CONSTRAINT subscription_order_history_order_id_fkey FOREIGN KEY (order_id) REFERENCES ingest.subscription_order(id);

ALTER TABLE ONLY ingest.sync_customer
    ADD CONSTRAINT sync_customer_sync_id_fkey FOREIGN KEY (sync_id) REFERENCES ingest.sync(id);
