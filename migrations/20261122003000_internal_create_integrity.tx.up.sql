-- What the nightly proof of a tenant's books has found last: a row for each check. It is replaced by the next run; what
-- was found before stands in the audit log.
CREATE TABLE integrity_results (
  tenant_id uuid NOT NULL,
  check_id  text NOT NULL,              -- such as ledger.E001
  found     integer NOT NULL CHECK (found >= 0),
  places    jsonb NOT NULL DEFAULT '[]', -- the first of what was found
  ran_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, check_id)
);
--bun:split
SELECT secure_table('integrity_results', 'none', 'SELECT, INSERT, UPDATE, DELETE');
--bun:split
-- Monitoring watches all tenants: how much was found, and since when nobody has looked.
SELECT observe('integrity_results', 'tenant_id, check_id, found, ran_at');
--bun:split
GRANT SELECT (created_at) ON tenants TO countersign_observer;
