-- What a tenant has given a gateway, once for real and once for test money. Secrets, and the token of the path where the
-- provider calls, are sealed; of the token a hash is kept beside it, by which a call finds its row.
CREATE TABLE gateway_configs (
  tenant_id     uuid NOT NULL REFERENCES tenants ON DELETE RESTRICT,
  id            uuid NOT NULL,
  name          text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_-]{0,39}$'), -- the gateway's, or the tenant's own for an integrator
  gateway       text NOT NULL CHECK (gateway ~ '^[a-z][a-z0-9_-]{0,39}$'),
  mode          text NOT NULL CHECK (mode IN ('live', 'test')),
  display_name  text NOT NULL DEFAULT '' CHECK (length(display_name) <= 100),
  is_enabled    boolean NOT NULL DEFAULT false,
  settings      "json_object" NOT NULL DEFAULT '{}', -- no secrets
  error_map     "json_object" NOT NULL DEFAULT '{}', -- an integrator's codes to ours
  credentials   bytea NOT NULL, -- sealed
  endpoint_hash sha256_hash NOT NULL,
  version       integer NOT NULL DEFAULT 1,
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT gateway_configs_name_key UNIQUE (tenant_id, name, mode),
  CONSTRAINT gateway_configs_endpoint_key UNIQUE (tenant_id, endpoint_hash)
);
--bun:split
SELECT secure_table('gateway_configs', 'none', 'SELECT, INSERT, UPDATE');
