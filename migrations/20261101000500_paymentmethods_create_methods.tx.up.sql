CREATE DOMAIN payment_method AS text CONSTRAINT payment_method_check CHECK (VALUE IN ('cash', 'card', 'mobile_banking', 'voucher', 'bank_transfer', 'local_wallet', 'paypal', 'gateway_link', 'other'));
--bun:split
-- Which methods a country offers, as rows that staff edit (S3-37). A row of the account's country replaces the global
-- ('*') row of the same method, and may switch it off.
CREATE TABLE payment_method_configs (
  tenant_id          uuid NOT NULL REFERENCES tenants ON DELETE RESTRICT,
  id                 uuid NOT NULL,
  country_code       text NOT NULL CHECK (country_code = '*' OR country_code ~ '^[A-Z]{2}$'),
  payment_method     payment_method NOT NULL,
  display_name       text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 100),
  instructions       text NOT NULL DEFAULT '',
  bank_details       jsonb CHECK (jsonb_typeof(bank_details) = 'object'),
  wallet_details     jsonb CHECK (jsonb_typeof(wallet_details) = 'object'),
  currency           char(3) CHECK (currency ~ '^[A-Z]{3}$'), -- null: any
  min_amount_minor   bigint CHECK (min_amount_minor > 0),
  max_amount_minor   bigint CHECK (max_amount_minor > 0),
  requires_evidence  boolean NOT NULL DEFAULT false,
  is_enabled         boolean NOT NULL DEFAULT true,
  sort_order         integer NOT NULL DEFAULT 0,
  created_at         timestamptz NOT NULL DEFAULT now(),
  updated_at         timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT payment_method_configs_row_key UNIQUE (tenant_id, country_code, payment_method),
  CONSTRAINT payment_method_configs_limits_check CHECK (min_amount_minor <= max_amount_minor),
  CONSTRAINT payment_method_configs_limit_currency_check CHECK (currency IS NOT NULL OR (min_amount_minor IS NULL AND max_amount_minor IS NULL))
);
--bun:split
SELECT secure_table('payment_method_configs', 'tenant', 'SELECT, INSERT, UPDATE, DELETE');
--bun:split
-- The methods an account has saved, with one default (S3-38).
CREATE TABLE account_payment_methods (
  tenant_id      uuid NOT NULL REFERENCES tenants ON DELETE RESTRICT,
  id             uuid NOT NULL,
  account_id     uuid NOT NULL,
  payment_method payment_method NOT NULL,
  display_name   text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 100),
  details        jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(details) = 'object'),
  is_default     boolean NOT NULL DEFAULT false,
  created_at     timestamptz NOT NULL DEFAULT now(),
  updated_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT account_payment_methods_account_fk FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE RESTRICT
);
--bun:split
CREATE UNIQUE INDEX account_payment_methods_default_key ON account_payment_methods (tenant_id, account_id) WHERE is_default;
--bun:split
CREATE INDEX account_payment_methods_account_idx ON account_payment_methods (tenant_id, account_id, created_at DESC, id DESC);
--bun:split
SELECT secure_table('account_payment_methods', 'account_id', 'SELECT, INSERT, UPDATE, DELETE');
