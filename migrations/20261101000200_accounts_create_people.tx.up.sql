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
-- may set its name and password; null: only the operator may, and the user himself.
CREATE TABLE users (
  id               uuid PRIMARY KEY,
  email            text NOT NULL CHECK (email = lower(email) AND length(email) BETWEEN 3 AND 254),
  name             text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  password_hash    text NOT NULL,
  password_version integer NOT NULL DEFAULT 1, -- counts the passwords: tells whether one is still the same, to those who may not read it
  reset_by         uuid, -- who else set the present or an earlier password last; null: nobody but the user and the operator did
  reset_at         timestamptz,
  home_tenant_id   uuid REFERENCES tenants ON DELETE RESTRICT,
  is_active        boolean NOT NULL DEFAULT true,
  language         text CHECK (language IN ('en', 'ru', 'uz', 'bn')),
  theme            text NOT NULL DEFAULT 'system' CHECK (theme IN ('system', 'light', 'dark')),
  created_at       timestamptz NOT NULL DEFAULT now(),
  updated_at       timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT users_email_key UNIQUE (email),
  CONSTRAINT users_reset_check CHECK ((reset_by IS NULL) = (reset_at IS NULL))
);
--bun:split
-- Users are switched off, never deleted: decisions name them without a foreign key, which would lock their row.
CREATE TRIGGER users_stay BEFORE DELETE OR TRUNCATE ON users EXECUTE FUNCTION refuse_change();
--bun:split
CREATE FUNCTION count_password() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.password_version := OLD.password_version + 1;
  RETURN NEW;
END $$;
--bun:split
CREATE TRIGGER users_count_password BEFORE UPDATE OF password_hash ON users FOR EACH ROW EXECUTE FUNCTION count_password();
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
-- The walls around users. A login has no tenant of its own, so each command has its policy: a tenant sees the people who
-- have a membership there (a member of an account sees those of his account, because memberships shows him no others),
-- and everybody sees himself.
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
--bun:split
ALTER TABLE users FORCE ROW LEVEL SECURITY;
--bun:split
-- A scalar question and not EXISTS, which the planner may answer by reading all memberships of the tenant first.
CREATE POLICY tenant ON users FOR SELECT USING (
  id = nullif(current_setting('app.user_id', true), '')::uuid
  OR (SELECT true FROM memberships m WHERE m.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid AND m.user_id = users.id));
--bun:split
-- Staff make users who are at home in their tenant, and change them; everybody changes himself. A login may be taken out
-- of its home, and into no other.
CREATE POLICY joins ON users FOR INSERT WITH CHECK (
  home_tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid AND nullif(current_setting('app.account_id', true), '') IS NULL);
--bun:split
CREATE POLICY changes ON users FOR UPDATE
  USING (id = nullif(current_setting('app.user_id', true), '')::uuid
    OR home_tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid AND nullif(current_setting('app.account_id', true), '') IS NULL)
  WITH CHECK (home_tenant_id IS NULL OR home_tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
--bun:split
-- The program writes a password's hash and never reads it: only login_of does, for one e-mail address at a time.
GRANT SELECT (id, email, name, password_version, reset_by, reset_at, home_tenant_id, is_active, language, theme, created_at, updated_at),
  INSERT (id, email, name, password_hash, reset_by, reset_at, home_tenant_id, is_active, language, theme),
  UPDATE (name, password_hash, reset_by, reset_at, home_tenant_id, language, theme, updated_at) ON users TO countersign_app;
--bun:split
-- For login_of, which runs as the owner: forced row-level security holds for him as well, unless he is a superuser.
CREATE POLICY login ON users FOR SELECT TO CURRENT_USER USING (true);
--bun:split
-- login_of gives the one login that has an e-mail address, to compare its password: at log-in there is no tenant yet in
-- which a policy could show it.
CREATE FUNCTION login_of(address text) RETURNS TABLE (id uuid, name text, password_hash text, password_version integer, is_active boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
  SELECT u.id, u.name, u.password_hash, u.password_version, u.is_active FROM users u WHERE u.email = address
$$;
--bun:split
REVOKE ALL ON FUNCTION login_of(text) FROM PUBLIC;
--bun:split
GRANT EXECUTE ON FUNCTION login_of(text) TO countersign_app;
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
-- revoke_own ends the credentials of the user of app.user_id in all tenants, but for one to keep: a new password must
-- leave none behind, and the transaction that sets it sees one tenant only. It goes from tenant to tenant and back.
CREATE FUNCTION revoke_own(keep uuid, at timestamptz) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  here    constant text := current_setting('app.tenant_id', true);
  account constant text := current_setting('app.account_id', true);
  login   constant uuid := nullif(current_setting('app.user_id', true), '')::uuid;
  m       record;
BEGIN
  PERFORM set_config('app.account_id', '', true);
  FOR m IN SELECT ms.tenant_id, ms.id FROM memberships ms WHERE ms.user_id = login ORDER BY ms.tenant_id LOOP
    PERFORM set_config('app.tenant_id', m.tenant_id::text, true);
    UPDATE credentials SET revoked_at = at
    WHERE tenant_id = m.tenant_id AND membership_id = m.id AND revoked_at IS NULL AND id IS DISTINCT FROM keep;
  END LOOP;
  PERFORM set_config('app.tenant_id', here, true), set_config('app.account_id', account, true);
END $$;
--bun:split
REVOKE ALL ON FUNCTION revoke_own(uuid, timestamptz) FROM PUBLIC;
--bun:split
GRANT EXECUTE ON FUNCTION revoke_own(uuid, timestamptz) TO countersign_app;
--bun:split
-- Who set whose password in a tenant, and when: while two people may be one, they do not decide together.
CREATE TABLE password_resets (
  tenant_id uuid NOT NULL,
  id        uuid NOT NULL,
  user_id   uuid NOT NULL,
  set_by    uuid NOT NULL,
  set_at    timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT password_resets_check CHECK (user_id <> set_by)
);
--bun:split
CREATE INDEX password_resets_set_at_idx ON password_resets (tenant_id, set_at);
--bun:split
SELECT secure_table('password_resets', 'none', 'SELECT, INSERT');
--bun:split
CREATE TRIGGER password_resets_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON password_resets EXECUTE FUNCTION refuse_change();
--bun:split
-- Attempts to log in, counted for each address and each user in a window; an address gets back those that succeed. The
-- subject is a keyed hash: the table says neither who nor from where.
CREATE TABLE login_throttle (
  subject   bytea PRIMARY KEY,
  attempts  integer NOT NULL CHECK (attempts >= 0),
  opens_at  timestamptz NOT NULL
);
--bun:split
CREATE INDEX login_throttle_opens_at_idx ON login_throttle (opens_at);
--bun:split
GRANT SELECT, INSERT, UPDATE, DELETE ON login_throttle TO countersign_app;
