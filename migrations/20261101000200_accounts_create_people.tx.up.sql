-- Texts that lists search by prefix are in collation "C", so that their indexes serve a range. holder_key is the holder
-- in lower case, folded by the program: the database's own locale may not know the letters.
CREATE TABLE accounts (
  tenant_id              uuid NOT NULL REFERENCES tenants ON DELETE RESTRICT,
  id                     uuid NOT NULL,
  number                 text COLLATE "C" NOT NULL,
  external_id            text COLLATE "C" CHECK (length(external_id) BETWEEN 1 AND 100),
  kind                   text NOT NULL CHECK (kind IN ('organization', 'patient', 'refugee')),
  holder                 text NOT NULL CHECK (length(holder) BETWEEN 1 AND 200),
  holder_key             text COLLATE "C" NOT NULL,
  country                char(2) NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
  currency               char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  email                  text,
  patient_id             text CHECK (length(patient_id) BETWEEN 1 AND 100),
  billing_address        jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(billing_address) = 'object'),
  payment_methods        text[] NOT NULL DEFAULT '{}', -- empty: every method that the country offers
  default_payment_method text,
  is_active              boolean NOT NULL DEFAULT true,
  created_at             timestamptz NOT NULL DEFAULT now(),
  updated_at             timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT accounts_number_key UNIQUE (tenant_id, number),
  CONSTRAINT accounts_external_id_key UNIQUE (tenant_id, external_id),
  CONSTRAINT accounts_default_method_check CHECK (default_payment_method IS NULL OR payment_methods = '{}' OR default_payment_method = ANY (payment_methods))
);
--bun:split
CREATE INDEX accounts_created_at_idx ON accounts (tenant_id, created_at DESC, id DESC);
--bun:split
CREATE INDEX accounts_holder_idx ON accounts (tenant_id, holder_key);
--bun:split
SELECT secure_table('accounts', 'id', 'SELECT, INSERT, UPDATE');
--bun:split
-- A login. It belongs to the installation; what it may do is in memberships. home_tenant_id is the tenant whose staff
-- may set its name and password; null: only the operator may.
CREATE TABLE users (
  id             uuid PRIMARY KEY,
  email          text NOT NULL CHECK (email = lower(email) AND length(email) BETWEEN 3 AND 254),
  name           text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  password_hash  text NOT NULL,
  home_tenant_id uuid REFERENCES tenants ON DELETE RESTRICT,
  is_active      boolean NOT NULL DEFAULT true,
  language       text CHECK (language IN ('en', 'ru', 'uz', 'bn')),
  theme          text NOT NULL DEFAULT 'system' CHECK (theme IN ('system', 'light', 'dark')),
  created_at     timestamptz NOT NULL DEFAULT now(),
  updated_at     timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT users_email_key UNIQUE (email)
);
--bun:split
GRANT SELECT, INSERT, UPDATE ON users TO countersign_app;
--bun:split
-- Users are switched off, never deleted: decisions name them without a foreign key, which would lock their row.
CREATE TRIGGER users_stay BEFORE DELETE OR TRUNCATE ON users EXECUTE FUNCTION refuse_change();
--bun:split
CREATE TABLE memberships (
  tenant_id  uuid NOT NULL REFERENCES tenants ON DELETE RESTRICT,
  id         uuid NOT NULL,
  user_id    uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
  role       text NOT NULL CHECK (role IN ('owner', 'admin', 'finance', 'cashier', 'claims', 'member', 'viewer')),
  account_id uuid,
  is_active  boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT memberships_user_key UNIQUE (tenant_id, user_id),
  CONSTRAINT memberships_account_fk FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE RESTRICT,
  CONSTRAINT memberships_member_has_account CHECK ((role = 'member') = (account_id IS NOT NULL))
);
--bun:split
CREATE INDEX memberships_user_idx ON memberships (user_id);
--bun:split
CREATE INDEX memberships_created_at_idx ON memberships (tenant_id, created_at DESC, id DESC);
--bun:split
SELECT secure_table('memberships', 'account_id', 'SELECT, INSERT, UPDATE');
--bun:split
-- At log-in the password is known to be right before any tenant is: a user then sees his own memberships, to choose.
CREATE POLICY own ON memberships FOR SELECT USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
--bun:split
-- Bearer tokens and console sessions are the same thing: a secret that stands for one membership until it expires or
-- is revoked. Only its SHA-256 is kept.
CREATE TABLE credentials (
  tenant_id     uuid NOT NULL,
  id            uuid NOT NULL,
  membership_id uuid NOT NULL,
  kind          text NOT NULL CHECK (kind IN ('token', 'session')),
  secret_hash   bytea NOT NULL CHECK (length(secret_hash) = 32),
  ip            text NOT NULL DEFAULT '',
  user_agent    text NOT NULL DEFAULT '',
  created_at    timestamptz NOT NULL DEFAULT now(),
  expires_at    timestamptz NOT NULL,
  revoked_at    timestamptz,
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT credentials_secret_key UNIQUE (tenant_id, secret_hash),
  CONSTRAINT credentials_membership_fk FOREIGN KEY (tenant_id, membership_id) REFERENCES memberships ON DELETE RESTRICT
);
--bun:split
CREATE INDEX credentials_membership_idx ON credentials (tenant_id, membership_id) WHERE revoked_at IS NULL;
--bun:split
SELECT secure_table('credentials', 'tenant', 'SELECT, INSERT, UPDATE');
--bun:split
-- Attempts to log in, counted for each address and each user in a window. The subject is a keyed hash: the table says
-- neither who nor from where.
CREATE TABLE login_throttle (
  subject   bytea PRIMARY KEY,
  attempts  integer NOT NULL CHECK (attempts > 0),
  opens_at  timestamptz NOT NULL
);
--bun:split
CREATE INDEX login_throttle_opens_at_idx ON login_throttle (opens_at);
--bun:split
GRANT SELECT, INSERT, UPDATE, DELETE ON login_throttle TO countersign_app;
