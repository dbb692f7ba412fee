CREATE SCHEMA payments;

CREATE FUNCTION payments.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';

END $$;

CREATE TABLE payments.attempt (
    attempt_id text NOT NULL,
    invoice_id text NOT NULL,
    seq integer NOT NULL,
    trigger text NOT NULL,
    account_id text NOT NULL,
    invoice_number text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    idempotency_key text NOT NULL,
    provider text,
    provider_customer_id text,
    provider_method_id text,
    state text NOT NULL,
    reason text,
    provider_payment_id text,
    provider_status text,
    decline_code text,
    decline_class text,
    confirmed_by text,
    created_at timestamp with time zone NOT NULL,
    sent_at timestamp with time zone,
    last_sent_at timestamp with time zone,
    ended_at timestamp with time zone,
    checks integer DEFAULT 0 NOT NULL,
    next_check_at timestamp with time zone,
    tries integer DEFAULT 0 NOT NULL,
    lease_until timestamp with time zone,
    send_after timestamp with time zone DEFAULT now() NOT NULL,
    problem text,
    problem_detail text,
    problem_since timestamp with time zone,
    cause jsonb,
    correlation_id text NOT NULL,
    CONSTRAINT attempt_check CHECK (((state = 'not_charged'::text) OR (provider_method_id IS NOT NULL))),
    CONSTRAINT attempt_check1 CHECK (((state = 'not_charged'::text) = (reason IS NOT NULL))),
    CONSTRAINT attempt_confirmed_by_check CHECK ((confirmed_by = ANY (ARRAY['webhook'::text, 'poll'::text]))),
    CONSTRAINT attempt_seq_check CHECK ((seq > 0)),
    CONSTRAINT attempt_state_check CHECK ((state = ANY (ARRAY['created'::text, 'in_flight'::text, 'unknown'::text, 'requires_action'::text, 'pending'::text, 'failed'::text, 'succeeded'::text, 'not_charged'::text]))),
    CONSTRAINT attempt_trigger_check CHECK ((trigger = ANY (ARRAY['initial'::text, 'manual'::text])))
);

CREATE TABLE payments.invoice (
    invoice_id text NOT NULL,
    number text NOT NULL,
    account_id text NOT NULL,
    currency text NOT NULL,
    total numeric NOT NULL,
    invoice_date date NOT NULL,
    due_on date NOT NULL,
    received_at timestamp with time zone NOT NULL
);

CREATE TABLE payments.profile (
    account_id text NOT NULL,
    provider text NOT NULL,
    provider_customer_id text NOT NULL,
    provider_method_id text NOT NULL,
    usable boolean DEFAULT true NOT NULL,
    unusable_reason text,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT profile_check CHECK ((usable = (unusable_reason IS NULL)))
);

CREATE TABLE payments.provider_event (
    provider text NOT NULL,
    event_id text NOT NULL,
    type text NOT NULL,
    payment_id text,
    attempt_id text,
    body_sha256 text NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    state text NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    retry_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT provider_event_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'done'::text, 'ignored'::text, 'foreign'::text, 'unmatched'::text])))
);

ALTER TABLE ONLY payments.attempt
    ADD CONSTRAINT attempt_idempotency_key_key UNIQUE (idempotency_key);

ALTER TABLE ONLY payments.attempt
    ADD CONSTRAINT attempt_invoice_id_seq_key UNIQUE (invoice_id, seq);

ALTER TABLE ONLY payments.attempt
    ADD CONSTRAINT attempt_pkey PRIMARY KEY (attempt_id);

ALTER TABLE ONLY payments.invoice
    ADD CONSTRAINT invoice_pkey PRIMARY KEY (invoice_id);

ALTER TABLE ONLY payments.profile
    ADD CONSTRAINT profile_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY payments.provider_event
    ADD CONSTRAINT provider_event_pkey PRIMARY KEY (provider, event_id);

CREATE INDEX attempt_account ON payments.attempt USING btree (account_id, created_at, attempt_id);

CREATE INDEX attempt_created ON payments.attempt USING btree (send_after, created_at) WHERE (state = 'created'::text);

CREATE UNIQUE INDEX attempt_fence ON payments.attempt USING btree (invoice_id) WHERE (state = ANY (ARRAY['created'::text, 'in_flight'::text, 'unknown'::text, 'requires_action'::text, 'pending'::text]));

CREATE INDEX attempt_in_flight ON payments.attempt USING btree (lease_until) WHERE (state = 'in_flight'::text);

CREATE INDEX attempt_listed ON payments.attempt USING btree (created_at, attempt_id);

CREATE UNIQUE INDEX attempt_payment ON payments.attempt USING btree (provider, provider_payment_id) WHERE (provider_payment_id IS NOT NULL);

CREATE INDEX attempt_problem ON payments.attempt USING btree (problem_since, attempt_id) WHERE (problem IS NOT NULL);

CREATE INDEX attempt_to_check ON payments.attempt USING btree (next_check_at) WHERE ((state = ANY (ARRAY['unknown'::text, 'requires_action'::text, 'pending'::text])) AND (next_check_at IS NOT NULL));

CREATE INDEX provider_event_pending ON payments.provider_event USING btree (retry_at) WHERE (state = 'pending'::text);

CREATE INDEX provider_event_unmatched ON payments.provider_event USING btree (received_at, event_id) WHERE (state = 'unmatched'::text);

ALTER TABLE ONLY payments.attempt
    ADD CONSTRAINT attempt_invoice_id_fkey FOREIGN KEY (invoice_id) REFERENCES payments.invoice(invoice_id);
