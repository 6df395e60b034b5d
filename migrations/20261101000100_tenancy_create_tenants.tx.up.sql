CREATE TABLE tenants (
  id                            uuid PRIMARY KEY,
  slug                          text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9][a-z0-9-]{1,62}$'),
  name                          text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  country                       char(2) NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
  default_currency              char(3) NOT NULL CHECK (default_currency ~ '^[A-Z]{3}$'),
  timezone                      text NOT NULL DEFAULT 'UTC',
  locale                        text NOT NULL DEFAULT 'en' CHECK (locale IN ('en', 'ru', 'uz', 'bn')),
  invoice_prefix                text NOT NULL DEFAULT 'INV' CHECK (invoice_prefix ~ '^[A-Z0-9]{1,12}$'),
  payment_terms_days            integer NOT NULL DEFAULT 30 CHECK (payment_terms_days BETWEEN 0 AND 365),
  two_approval_threshold_minor  bigint CHECK (two_approval_threshold_minor > 0), -- in default_currency; null: one approval is always enough
  allow_parallel_claims         boolean NOT NULL DEFAULT false, -- several undecided payments for one invoice (S3-31)
  is_active                     boolean NOT NULL DEFAULT true,
  created_at                    timestamptz NOT NULL DEFAULT now(),
  updated_at                    timestamptz NOT NULL DEFAULT now()
);
--bun:split
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
--bun:split
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
--bun:split
CREATE POLICY tenant ON tenants USING (id = nullif(current_setting('app.tenant_id', true), '')::uuid);
--bun:split
GRANT SELECT, INSERT, UPDATE ON tenants TO countersign_app;
--bun:split
-- Tenants are switched off, never deleted. So the tables that every request writes need no foreign key to them: each
-- insert would lock the one row of the tenant, and all its requests would meet there. Row-level security admits only
-- the tenant of the credential, which exists.
CREATE TRIGGER tenants_stay BEFORE DELETE OR TRUNCATE ON tenants EXECUTE FUNCTION refuse_change();
--bun:split
SELECT observe('tenants', 'id, slug, is_active');
--bun:split
-- Numbers without gaps: a row is locked by the transaction that takes its next number, and an abandoned transaction
-- gives the number back. A sequence cannot do that.
CREATE TABLE number_series (
  tenant_id  uuid NOT NULL REFERENCES tenants ON DELETE RESTRICT,
  series     text NOT NULL,
  year       integer NOT NULL, -- 0 for series that do not start again each year
  last_value bigint NOT NULL CHECK (last_value > 0),
  PRIMARY KEY (tenant_id, series, year)
);
--bun:split
SELECT secure_table('number_series', 'none', 'SELECT, INSERT, UPDATE');
