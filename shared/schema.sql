CREATE TABLE service.alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE service.audit (
    seq bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    object text NOT NULL,
    before jsonb,
    after jsonb,
    reason text,
    correlation_id text,
    causation_id text,
    prev_hash text NOT NULL,
    hash text NOT NULL
);

CREATE TABLE service.audit_head (
    one boolean DEFAULT true NOT NULL,
    seq bigint NOT NULL,
    hash text NOT NULL,
    CONSTRAINT audit_head_one_check CHECK (one)
);

CREATE TABLE service.dead_letter (
    id bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    key text NOT NULL,
    source text NOT NULL,
    event_id text NOT NULL,
    event_type text NOT NULL,
    headers jsonb NOT NULL,
    value bytea,
    error_class text NOT NULL,
    error_code text NOT NULL,
    error text NOT NULL,
    first_failed_at timestamp with time zone NOT NULL,
    attempts integer NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    resolved_by text,
    resolved_at timestamp with time zone,
    reason text,
    CONSTRAINT dead_letter_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'resolved'::text, 'discarded'::text])))
);

ALTER TABLE service.dead_letter ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME service.dead_letter_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE service.idempotency_key (
    caller text NOT NULL,
    endpoint text NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    status integer NOT NULL,
    body jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE service.inbox (
    source text NOT NULL,
    event_id text NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE service.outbox (
    id bigint NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    event_id text NOT NULL,
    headers jsonb NOT NULL,
    value bytea,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    sent_at timestamp with time zone
);

ALTER TABLE service.outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME service.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE service.parked_message (
    id bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    key text NOT NULL,
    headers jsonb NOT NULL,
    value bytea,
    parked_at timestamp with time zone NOT NULL
);

ALTER TABLE service.parked_message ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME service.parked_message_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY service.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY service.audit_head
    ADD CONSTRAINT audit_head_pkey PRIMARY KEY (one);

ALTER TABLE ONLY service.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY service.dead_letter
    ADD CONSTRAINT dead_letter_pkey PRIMARY KEY (id);

ALTER TABLE ONLY service.dead_letter
    ADD CONSTRAINT dead_letter_topic_partition_offset_key UNIQUE (topic, partition, "offset");

ALTER TABLE ONLY service.idempotency_key
    ADD CONSTRAINT idempotency_key_pkey PRIMARY KEY (caller, endpoint, key);

ALTER TABLE ONLY service.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (source, event_id);

ALTER TABLE ONLY service.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);

ALTER TABLE ONLY service.parked_message
    ADD CONSTRAINT parked_message_pkey PRIMARY KEY (id);

CREATE INDEX audit_object ON service.audit USING btree (object, seq);

CREATE INDEX dead_letter_pending ON service.dead_letter USING btree (topic, key) WHERE (status = 'pending'::text);

CREATE INDEX outbox_unsent ON service.outbox USING btree (id) WHERE (sent_at IS NULL);

CREATE INDEX parked_message_key ON service.parked_message USING btree (topic, key, id);

CREATE TRIGGER audit_is_append_only BEFORE DELETE OR UPDATE ON service.audit FOR EACH ROW EXECUTE FUNCTION service.refuse_change();

CREATE TRIGGER audit_is_never_emptied BEFORE TRUNCATE ON service.audit FOR EACH STATEMENT EXECUTE FUNCTION service.refuse_change();
