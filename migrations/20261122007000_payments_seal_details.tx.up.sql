-- Of what a payment's details say, what is personal is sealed (S2-137): details keeps only how it ends.
ALTER TABLE payments ADD COLUMN sensitive bytea;
--bun:split
-- What the details of payments are found by when a value is asked for: keyed hashes of gateway, path and value, of all
-- that the details have ever said; what is plain is compared once more. It is a
-- table and no index of jsonb or of arrays, because row-level security keeps operators that PostgreSQL does not know to
-- be leakproof off the indexes, and those of jsonb and arrays are not; equality of bytea is.
CREATE TABLE payment_terms (
  tenant_id  uuid NOT NULL,
  term       sha256_hash NOT NULL,
  payment_id uuid NOT NULL,
  account_id uuid, -- null: a customer who is not known here
  PRIMARY KEY (tenant_id, term, payment_id),
  CONSTRAINT payment_terms_payment_fk FOREIGN KEY (tenant_id, payment_id) REFERENCES payments ON DELETE RESTRICT
);
--bun:split
SELECT secure_table('payment_terms', 'account_id', 'SELECT, INSERT');
--bun:split
-- Ids are of version 7: their order is the order of creation. The settlement changes neither column.
CREATE INDEX payments_gateway_idx ON payments (tenant_id, gateway, id);
--bun:split
-- A time that a provider has written, which may be anything; without a zone it is taken as UTC. Null: it is no time. It
-- catches no error but looks first, and is plain SQL: both make it ten times as fast over the rows of a search.
CREATE FUNCTION instant_or_null(value text) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN value !~ '^(19|2\d)\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-](0\d|1[0-4]):[0-5]\d)?$' THEN NULL
    WHEN substr(value, 9, 2)::int > extract(day FROM (substr(value, 1, 7) || '-01')::date + interval '1 month - 1 day') THEN NULL
    WHEN value ~ '(Z|[+-]\d\d:\d\d)$' THEN value::timestamptz
    ELSE (value || 'Z')::timestamptz
  END
$$;
