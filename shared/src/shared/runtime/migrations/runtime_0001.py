"""The runtime's own tables: inbox, outbox, dead letters, audit chain, idempotency keys.

Every service's schema has them; the first revision of a service follows this one.
"""

from alembic import op

revision = "runtime_0001"
down_revision = None

UPGRADE = """
CREATE TABLE inbox (
    source       text NOT NULL,
    event_id     text NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, event_id)
);

CREATE TABLE outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic       text NOT NULL,
    key         text NOT NULL,
    event_id    text NOT NULL,
    headers     jsonb NOT NULL,           -- [[name, value], …] in the order they are sent
    value       bytea,                    -- NULL is a tombstone
    created_at  timestamptz NOT NULL DEFAULT now(),
    sent_at     timestamptz
);
CREATE INDEX outbox_unsent ON outbox (id) WHERE sent_at IS NULL;

CREATE TABLE dead_letter (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic            text NOT NULL,
    partition        integer NOT NULL,
    "offset"         bigint NOT NULL,
    key              text NOT NULL,
    source           text NOT NULL,
    event_id         text NOT NULL,
    event_type       text NOT NULL,
    headers          jsonb NOT NULL,
    value            bytea,
    error_class      text NOT NULL,       -- malformed, permanent, defect, exhausted
    error_code       text NOT NULL,
    error            text NOT NULL,
    first_failed_at  timestamptz NOT NULL,
    attempts         integer NOT NULL,
    status           text NOT NULL DEFAULT 'pending'
                     CHECK (status IN ('pending', 'resolved', 'discarded')),
    resolved_by      text,
    resolved_at      timestamptz,
    reason           text,
    UNIQUE (topic, partition, "offset")
);
CREATE INDEX dead_letter_pending ON dead_letter (topic, key) WHERE status = 'pending';

-- Messages that wait behind a pending dead letter of their key.
CREATE TABLE parked_message (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic      text NOT NULL,
    partition  integer NOT NULL,
    "offset"   bigint NOT NULL,
    key        text NOT NULL,
    headers    jsonb NOT NULL,
    value      bytea,
    parked_at  timestamptz NOT NULL
);
CREATE INDEX parked_message_key ON parked_message (topic, key, id);

CREATE TABLE audit_head (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq   bigint NOT NULL,
    hash  text NOT NULL
);
INSERT INTO audit_head (seq, hash) VALUES (0, repeat('0', 64));

CREATE TABLE audit (
    seq             bigint PRIMARY KEY,
    at              timestamptz NOT NULL,
    actor           text NOT NULL,
    action          text NOT NULL,
    object          text NOT NULL,
    before          jsonb,
    after           jsonb,
    reason          text,
    correlation_id  text,
    causation_id    text,
    prev_hash       text NOT NULL,
    hash            text NOT NULL
);
CREATE INDEX audit_object ON audit (object, seq);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_is_never_emptied BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE idempotency_key (
    caller       text NOT NULL,
    endpoint     text NOT NULL,            -- method and path
    key          text NOT NULL,
    fingerprint  text NOT NULL,            -- SHA-256 of the canonical body
    status       integer NOT NULL,
    body         jsonb NOT NULL,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (caller, endpoint, key)
);

-- Where the service runs under a role of its own, the trail is insert-only for it by right, too.
DO $$
DECLARE app_role text := current_schema() || '_app';
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app_role) THEN
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON audit FROM %I', app_role);
    END IF;
END $$;
"""


def upgrade() -> None:
    op.execute(UPGRADE)
