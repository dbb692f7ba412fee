CREATE SCHEMA psa_connector;

CREATE FUNCTION psa_connector.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';

END $$;

CREATE TABLE psa_connector.adoption (
    intent_id text NOT NULL,
    external_id text NOT NULL,
    planned jsonb NOT NULL,
    operation jsonb NOT NULL,
    decided_by text NOT NULL,
    decided_at timestamp with time zone NOT NULL
);

CREATE TABLE psa_connector.connection (
    id text NOT NULL,
    vendor text NOT NULL,
    base_url text NOT NULL,
    credentials jsonb NOT NULL,
    settings jsonb NOT NULL,
    version integer NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    paused_until timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL,
    pause_reason text,
    pause_detail text,
    paused_since timestamp with time zone
);

CREATE TABLE psa_connector.contract_mapping (
    contract_id text NOT NULL,
    connection_id text,
    company_id text,
    target_id text,
    changed_at timestamp with time zone NOT NULL
);

CREATE TABLE psa_connector.dismissed_line (
    connection_id text NOT NULL,
    external_id text NOT NULL,
    decided_by text NOT NULL,
    decided_at timestamp with time zone NOT NULL
);

CREATE TABLE psa_connector.drift (
    id text NOT NULL,
    connection_id text NOT NULL,
    target_id text NOT NULL,
    contract_id text,
    source_id text,
    kind text NOT NULL,
    object text NOT NULL,
    external_id text,
    intent_id text,
    fields jsonb NOT NULL,
    difference numeric,
    repairs jsonb NOT NULL,
    revision integer DEFAULT 1 NOT NULL,
    edited_by text,
    edited_at text,
    evidence text,
    action text NOT NULL,
    state text NOT NULL,
    detail text,
    sweep_id text NOT NULL,
    first_seen_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    state_since timestamp with time zone NOT NULL,
    CONSTRAINT drift_action_check CHECK ((action = ANY (ARRAY['heal'::text, 'approve'::text, 'report'::text]))),
    CONSTRAINT drift_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'reported'::text, 'healing'::text, 'healed'::text, 'failed'::text, 'gone'::text, 'dismissed'::text])))
);

CREATE TABLE psa_connector.intent (
    id text NOT NULL,
    connection_id text NOT NULL,
    key text NOT NULL,
    target text NOT NULL,
    kind text NOT NULL,
    source_seq bigint NOT NULL,
    ordinal integer NOT NULL,
    source_id text NOT NULL,
    contract_id text NOT NULL,
    company_id text NOT NULL,
    target_id text NOT NULL,
    subscription_id text,
    operation jsonb NOT NULL,
    stays_open boolean NOT NULL,
    closed_by text,
    state text NOT NULL,
    reason text,
    detail text,
    attempt integer DEFAULT 0 NOT NULL,
    answered boolean DEFAULT false NOT NULL,
    sent_at timestamp with time zone,
    external_id text,
    request_hash text,
    vendor_request_id text,
    planned_at timestamp with time zone NOT NULL,
    state_since timestamp with time zone NOT NULL,
    confirmed_at timestamp with time zone,
    amends text,
    record_key text,
    drift_id text,
    CONSTRAINT intent_state_check CHECK ((state = ANY (ARRAY['planned'::text, 'sending'::text, 'unknown'::text, 'confirmed'::text, 'rejected'::text, 'blocked'::text, 'drifted'::text, 'superseded'::text])))
);

CREATE TABLE psa_connector.known_account (
    account_id text NOT NULL,
    name text NOT NULL
);

CREATE TABLE psa_connector.known_contract (
    contract_id text NOT NULL,
    version integer NOT NULL,
    account_id text NOT NULL,
    currency text NOT NULL
);

CREATE TABLE psa_connector.product_mapping (
    connection_id text NOT NULL,
    product_key text NOT NULL,
    external_id text NOT NULL,
    changed_at timestamp with time zone NOT NULL
);

CREATE TABLE psa_connector.source (
    seq bigint NOT NULL,
    kind text NOT NULL,
    source_id text NOT NULL,
    contract_id text NOT NULL,
    body jsonb NOT NULL,
    cause jsonb NOT NULL,
    state text NOT NULL,
    reason text,
    detail text,
    missing text[] DEFAULT '{}'::text[] NOT NULL,
    checked boolean DEFAULT false NOT NULL,
    received_at timestamp with time zone NOT NULL,
    state_since timestamp with time zone NOT NULL,
    CONSTRAINT source_kind_check CHECK ((kind = ANY (ARRAY['invoice'::text, 'licence_change'::text]))),
    CONSTRAINT source_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'blocked'::text, 'planned'::text, 'nothing'::text])))
);

ALTER TABLE psa_connector.source ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME psa_connector.source_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE psa_connector.sweep (
    id text NOT NULL,
    connection_id text NOT NULL,
    state text NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    cursor text DEFAULT ''::text NOT NULL,
    targets integer DEFAULT 0 NOT NULL,
    records integer DEFAULT 0 NOT NULL,
    calls integer DEFAULT 0 NOT NULL,
    found integer DEFAULT 0 NOT NULL,
    skipped integer DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    detail text,
    attempt integer DEFAULT 0 NOT NULL,
    lease_until timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL,
    not_before timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL,
    CONSTRAINT sweep_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'running'::text, 'done'::text])))
);

CREATE TABLE psa_connector.target (
    connection_id text NOT NULL,
    name text NOT NULL,
    lane text NOT NULL,
    external_id text,
    lease_until timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL,
    not_before timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL,
    failures integer DEFAULT 0 NOT NULL
);

ALTER TABLE ONLY psa_connector.adoption
    ADD CONSTRAINT adoption_pkey PRIMARY KEY (intent_id);

ALTER TABLE ONLY psa_connector.connection
    ADD CONSTRAINT connection_pkey PRIMARY KEY (id);

ALTER TABLE ONLY psa_connector.contract_mapping
    ADD CONSTRAINT contract_mapping_pkey PRIMARY KEY (contract_id);

ALTER TABLE ONLY psa_connector.dismissed_line
    ADD CONSTRAINT dismissed_line_pkey PRIMARY KEY (connection_id, external_id);

ALTER TABLE ONLY psa_connector.drift
    ADD CONSTRAINT drift_pkey PRIMARY KEY (id);

ALTER TABLE ONLY psa_connector.intent
    ADD CONSTRAINT intent_connection_id_key_key UNIQUE (connection_id, key);

ALTER TABLE ONLY psa_connector.intent
    ADD CONSTRAINT intent_pkey PRIMARY KEY (id);

ALTER TABLE ONLY psa_connector.known_account
    ADD CONSTRAINT known_account_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY psa_connector.known_contract
    ADD CONSTRAINT known_contract_pkey PRIMARY KEY (contract_id);

ALTER TABLE ONLY psa_connector.product_mapping
    ADD CONSTRAINT product_mapping_pkey PRIMARY KEY (connection_id, product_key);

ALTER TABLE ONLY psa_connector.source
    ADD CONSTRAINT source_kind_source_id_key UNIQUE (kind, source_id);

ALTER TABLE ONLY psa_connector.source
    ADD CONSTRAINT source_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY psa_connector.sweep
    ADD CONSTRAINT sweep_pkey PRIMARY KEY (id);

ALTER TABLE ONLY psa_connector.target
    ADD CONSTRAINT target_pkey PRIMARY KEY (connection_id, name);

CREATE INDEX drift_listed ON psa_connector.drift USING btree (first_seen_at, id);

CREATE UNIQUE INDEX drift_open ON psa_connector.drift USING btree (connection_id, object, kind) WHERE (state <> ALL (ARRAY['healed'::text, 'gone'::text]));

CREATE INDEX drift_target ON psa_connector.drift USING btree (connection_id, target_id);

CREATE INDEX intent_delivered_line ON psa_connector.intent USING btree (connection_id, target_id, contract_id, (((operation -> 'product'::text) ->> 'external_id'::text))) WHERE ((state = 'confirmed'::text) AND (kind = ANY (ARRAY['addition'::text, 'contract_charge'::text])));

CREATE INDEX intent_drift ON psa_connector.intent USING btree (drift_id) WHERE (drift_id IS NOT NULL);

CREATE INDEX intent_open ON psa_connector.intent USING btree (connection_id, target, source_seq, ordinal) WHERE (state <> ALL (ARRAY['confirmed'::text, 'superseded'::text]));

CREATE INDEX intent_source ON psa_connector.intent USING btree (source_seq);

CREATE INDEX intent_source_id ON psa_connector.intent USING btree (source_id);

CREATE INDEX intent_stays_open ON psa_connector.intent USING btree (contract_id, connection_id) WHERE stays_open;

CREATE INDEX intent_target_id ON psa_connector.intent USING btree (connection_id, target_id);

CREATE INDEX intent_waiting ON psa_connector.intent USING btree (state_since, id) WHERE (state = ANY (ARRAY['blocked'::text, 'rejected'::text, 'drifted'::text]));

CREATE INDEX source_contract ON psa_connector.source USING btree (contract_id, seq) WHERE (state = ANY (ARRAY['waiting'::text, 'blocked'::text]));

CREATE INDEX source_number ON psa_connector.source USING btree (((body ->> 'number'::text))) WHERE (kind = 'invoice'::text);

CREATE INDEX source_open ON psa_connector.source USING btree (seq) WHERE (state = ANY (ARRAY['waiting'::text, 'blocked'::text]));

CREATE INDEX sweep_latest ON psa_connector.sweep USING btree (connection_id, requested_at);

CREATE UNIQUE INDEX sweep_open ON psa_connector.sweep USING btree (connection_id) WHERE (state <> 'done'::text);

CREATE INDEX target_leased ON psa_connector.target USING btree (connection_id, lease_until);

ALTER TABLE ONLY psa_connector.adoption
    ADD CONSTRAINT adoption_intent_id_fkey FOREIGN KEY (intent_id) REFERENCES psa_connector.intent(id);

ALTER TABLE ONLY psa_connector.contract_mapping
    ADD CONSTRAINT contract_mapping_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES psa_connector.connection(id);

ALTER TABLE ONLY psa_connector.dismissed_line
    ADD CONSTRAINT dismissed_line_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES psa_connector.connection(id);

ALTER TABLE ONLY psa_connector.drift
    ADD CONSTRAINT drift_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES psa_connector.connection(id);

ALTER TABLE ONLY psa_connector.drift
    ADD CONSTRAINT drift_sweep_id_fkey FOREIGN KEY (sweep_id) REFERENCES psa_connector.sweep(id);

ALTER TABLE ONLY psa_connector.intent
    ADD CONSTRAINT intent_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES psa_connector.connection(id);

ALTER TABLE ONLY psa_connector.intent
    ADD CONSTRAINT intent_connection_id_target_fkey FOREIGN KEY (connection_id, target) REFERENCES psa_connector.target(connection_id, name);

ALTER TABLE ONLY psa_connector.intent
    ADD CONSTRAINT intent_source_seq_fkey FOREIGN KEY (source_seq) REFERENCES psa_connector.source(seq);

ALTER TABLE ONLY psa_connector.product_mapping
    ADD CONSTRAINT product_mapping_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES psa_connector.connection(id);

ALTER TABLE ONLY psa_connector.sweep
    ADD CONSTRAINT sweep_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES psa_connector.connection(id);

ALTER TABLE ONLY psa_connector.target
    ADD CONSTRAINT target_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES psa_connector.connection(id);
