-- The smallest schema in which a settlement can be written down, filled with :payments payments of :accounts accounts.
-- It is what the build is compared with: the same machine, the same server, the same minute.
DROP SCHEMA IF EXISTS floor CASCADE;
CREATE SCHEMA floor;
SET search_path = floor;
CREATE TABLE balances (account_id bigint PRIMARY KEY, tenant_id uuid NOT NULL, balance bigint NOT NULL DEFAULT 0, version bigint NOT NULL DEFAULT 0, updated_at timestamptz NOT NULL DEFAULT now()) WITH (fillfactor = 50);
CREATE TABLE invoices (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, status smallint NOT NULL DEFAULT 1, amount_due bigint NOT NULL, amount_paid bigint NOT NULL DEFAULT 0,
  number text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now()) WITH (fillfactor = 80);
CREATE TABLE payments (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, account_id bigint NOT NULL, invoice_id bigint NOT NULL, amount bigint NOT NULL, status smallint NOT NULL DEFAULT 2,
  reference text NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), settled_at timestamptz) WITH (fillfactor = 80);
CREATE TABLE transactions (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL, payment_id bigint NOT NULL, cause bigint GENERATED ALWAYS AS IDENTITY UNIQUE, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE entries (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL, transaction_id bigint NOT NULL, account_id bigint NOT NULL, amount bigint NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON entries (account_id, id);
CREATE INDEX ON entries (transaction_id);
CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL, topic text NOT NULL, payload jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
INSERT INTO balances (account_id, tenant_id) SELECT g, md5((g % 100)::text)::uuid FROM generate_series(1, :accounts) g;
INSERT INTO invoices (id, tenant_id, amount_due, number) SELECT g, md5((g % 100)::text)::uuid, 100 + g % 9000, 'INV-' || g FROM generate_series(1, :payments) g;
INSERT INTO payments (id, tenant_id, account_id, invoice_id, amount, reference) SELECT g, md5((g % 100)::text)::uuid, g % :accounts + 1, g, 100 + g % 9000, 'BANK-REF-' || g FROM generate_series(1, :payments) g;
CREATE INDEX ON payments (tenant_id, created_at DESC, id DESC);
CREATE INDEX ON payments (account_id, created_at DESC, id DESC);
VACUUM ANALYZE;
