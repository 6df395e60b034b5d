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
-- A time that a provider has written, which may be anything; without a zone it is taken as UTC. Null: it is no time.
CREATE FUNCTION instant_or_null(value text) RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF value !~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?$' THEN
    RETURN NULL;
  END IF;
  RETURN (value || CASE WHEN value ~ '(Z|[+-]\d\d:\d\d)$' THEN '' ELSE 'Z' END)::timestamptz;
EXCEPTION WHEN data_exception THEN
  RETURN NULL;
END $$;
