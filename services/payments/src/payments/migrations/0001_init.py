"""Profiles, invoices to collect, attempts to collect them, and what the provider told us.

The fence against a second charge is an index: one open attempt per invoice.
"""

from alembic import op

revision = "0001"
down_revision = "runtime_0001"

UPGRADE = """
-- Tokens of the provider only; no card or bank number has a place in this schema.
CREATE TABLE profile (
    account_id            text PRIMARY KEY,
    provider              text NOT NULL,
    provider_customer_id  text NOT NULL,
    provider_method_id    text NOT NULL,
    usable                boolean NOT NULL DEFAULT true,
    unusable_reason       text,
    updated_at            timestamptz NOT NULL,
    CHECK (usable = (unusable_reason IS NULL))
);

CREATE TABLE invoice (
    invoice_id    text PRIMARY KEY,
    number        text NOT NULL,
    account_id    text NOT NULL,
    currency      text NOT NULL,
    total         numeric NOT NULL,
    invoice_date  date NOT NULL,
    due_on        date NOT NULL,
    received_at   timestamptz NOT NULL
);

CREATE TABLE attempt (
    attempt_id            text PRIMARY KEY,
    invoice_id            text NOT NULL REFERENCES invoice,
    seq                   integer NOT NULL CHECK (seq > 0),
    trigger               text NOT NULL CHECK (trigger IN ('initial', 'manual')),
    account_id            text NOT NULL,
    invoice_number        text NOT NULL,        -- what is sent is made of this row alone
    amount_minor          bigint NOT NULL,      -- whole minor units of `currency`
    currency              text NOT NULL,
    idempotency_key       text NOT NULL UNIQUE,
    provider              text,                 -- these three are empty where there is no profile
    provider_customer_id  text,
    provider_method_id    text,
    state                 text NOT NULL
                          CHECK (state IN ('created', 'in_flight', 'unknown', 'requires_action',
                                           'pending', 'failed', 'succeeded', 'not_charged')),
    reason                text,                 -- why it was not charged
    provider_payment_id   text,
    provider_status       text,                 -- the provider's own word, for people
    decline_code          text,
    decline_class         text,
    confirmed_by          text CHECK (confirmed_by IN ('webhook', 'poll')),
    created_at            timestamptz NOT NULL,
    sent_at               timestamptz,          -- the first time
    last_sent_at          timestamptz,
    ended_at              timestamptz,
    checks                integer NOT NULL DEFAULT 0,
    next_check_at         timestamptz,          -- business time; NULL: nobody looks any more
    tries                 integer NOT NULL DEFAULT 0,
    -- The two below are the database's own clock: who works on it, and pauses while a provider is
    -- down. Business time may stand still; these must not.
    lease_until           timestamptz,
    send_after            timestamptz NOT NULL DEFAULT now(),
    problem               text,                 -- what a person has to look at
    problem_detail        text,
    problem_since         timestamptz,
    cause                 jsonb,                -- headers of the message that led to it, if any
    correlation_id        text NOT NULL,
    UNIQUE (invoice_id, seq),
    CHECK (state = 'not_charged' OR provider_method_id IS NOT NULL),
    CHECK ((state = 'not_charged') = (reason IS NOT NULL))
);
CREATE UNIQUE INDEX attempt_fence ON attempt (invoice_id)
    WHERE state IN ('created', 'in_flight', 'unknown', 'requires_action', 'pending');
CREATE UNIQUE INDEX attempt_payment ON attempt (provider, provider_payment_id)
    WHERE provider_payment_id IS NOT NULL;
CREATE INDEX attempt_created ON attempt (send_after, created_at) WHERE state = 'created';
CREATE INDEX attempt_in_flight ON attempt (lease_until) WHERE state = 'in_flight';
CREATE INDEX attempt_to_check ON attempt (next_check_at)
    WHERE state IN ('unknown', 'requires_action', 'pending') AND next_check_at IS NOT NULL;
CREATE INDEX attempt_listed ON attempt (created_at, attempt_id);
CREATE INDEX attempt_account ON attempt (account_id, created_at, attempt_id);
CREATE INDEX attempt_problem ON attempt (problem_since, attempt_id) WHERE problem IS NOT NULL;

-- Signed webhooks, by reference only: what they mean is read from the provider.
CREATE TABLE provider_event (
    provider     text NOT NULL,
    event_id     text NOT NULL,
    type         text NOT NULL,
    payment_id   text,
    attempt_id   text,                           -- from the metadata of the object in the event
    body_sha256  text NOT NULL,
    occurred_at  timestamptz NOT NULL,
    received_at  timestamptz NOT NULL,
    state        text NOT NULL
                 CHECK (state IN ('pending', 'done', 'ignored', 'foreign', 'unmatched')),
    tries        integer NOT NULL DEFAULT 0,
    retry_at     timestamptz NOT NULL DEFAULT now(),   -- the database's own clock, as above
    PRIMARY KEY (provider, event_id)
);
CREATE INDEX provider_event_pending ON provider_event (retry_at) WHERE state = 'pending';
CREATE INDEX provider_event_unmatched ON provider_event (received_at, event_id)
    WHERE state = 'unmatched';
"""


def upgrade() -> None:
    op.execute(UPGRADE)
