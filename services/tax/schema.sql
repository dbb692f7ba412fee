CREATE SCHEMA tax;

CREATE FUNCTION tax.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';

END $$;

CREATE TABLE tax.determination (
    determination_id text NOT NULL,
    invoice_id text NOT NULL,
    revision integer NOT NULL,
    engine text NOT NULL,
    engine_version text NOT NULL,
    lines jsonb NOT NULL,
    totals jsonb NOT NULL,
    tax numeric NOT NULL,
    determined_at timestamp with time zone NOT NULL
);

CREATE TABLE tax.draft (
    invoice_id text NOT NULL,
    revision integer NOT NULL,
    account_id text NOT NULL,
    jurisdiction text NOT NULL,
    mode text NOT NULL,
    currency text NOT NULL,
    tax_date date NOT NULL,
    net numeric NOT NULL,
    lines jsonb NOT NULL,
    cause jsonb NOT NULL,
    received_at timestamp with time zone NOT NULL,
    state text NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    engine_version text,
    reason text,
    detail text,
    held_since timestamp with time zone,
    holds integer DEFAULT 0 NOT NULL,
    CONSTRAINT draft_mode_check CHECK ((mode = ANY (ARRAY['per_line'::text, 'per_group'::text]))),
    CONSTRAINT draft_state_check CHECK ((state = ANY (ARRAY['requested'::text, 'held'::text, 'determined'::text, 'superseded'::text])))
);

CREATE TABLE tax.rate (
    rate_id text NOT NULL,
    valid_from date NOT NULL,
    version integer NOT NULL,
    jurisdiction text NOT NULL,
    category text NOT NULL,
    name text NOT NULL,
    rate numeric NOT NULL,
    table_version bigint CONSTRAINT rate_table_version_not_null1 NOT NULL,
    entered_at timestamp with time zone NOT NULL,
    entered_by text NOT NULL,
    CONSTRAINT rate_rate_check CHECK (((rate >= (0)::numeric) AND (rate <= (1)::numeric))),
    CONSTRAINT rate_version_check CHECK ((version > 0))
);

CREATE TABLE tax.rate_table (
    one boolean DEFAULT true NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT rate_table_one_check CHECK (one)
);

ALTER TABLE ONLY tax.determination
    ADD CONSTRAINT determination_invoice_id_revision_key UNIQUE (invoice_id, revision);

ALTER TABLE ONLY tax.determination
    ADD CONSTRAINT determination_pkey PRIMARY KEY (determination_id);

ALTER TABLE ONLY tax.draft
    ADD CONSTRAINT draft_pkey PRIMARY KEY (invoice_id, revision);

ALTER TABLE ONLY tax.rate
    ADD CONSTRAINT rate_pkey PRIMARY KEY (rate_id, valid_from, version);

ALTER TABLE ONLY tax.rate_table
    ADD CONSTRAINT rate_table_pkey PRIMARY KEY (one);

CREATE INDEX draft_held ON tax.draft USING btree (held_since, invoice_id) WHERE (state = 'held'::text);

CREATE INDEX draft_requested ON tax.draft USING btree (tries, received_at) WHERE (state = 'requested'::text);

CREATE INDEX rate_place ON tax.rate USING btree (jurisdiction, category);

CREATE TRIGGER determination_is_append_only BEFORE DELETE OR UPDATE ON tax.determination FOR EACH ROW EXECUTE FUNCTION tax.refuse_change();

CREATE TRIGGER rate_is_append_only BEFORE DELETE OR UPDATE ON tax.rate FOR EACH ROW EXECUTE FUNCTION tax.refuse_change();

ALTER TABLE ONLY tax.determination
    ADD CONSTRAINT determination_invoice_id_revision_fkey FOREIGN KEY (invoice_id, revision) REFERENCES tax.draft(invoice_id, revision);
