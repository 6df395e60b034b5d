-- Two roles without login. The program acts as countersign_app, which owns nothing and cannot bypass row-level
-- security; countersign_observer sees across tenants which work is waiting, and nothing of what it is about. The program
-- may become the observer, and inherits nothing from it: the observer's policies would else hold for the program too, and
-- open these tables to every tenant.
--
-- Roles belong to the server, whose other databases may be migrated at the same moment: what is already so is not written
-- again, and who met another's writing looks again.
DO $$
BEGIN
  FOR attempt IN 1..10 LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'countersign_app') THEN
        CREATE ROLE countersign_app NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
      END IF;
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'countersign_observer') THEN
        CREATE ROLE countersign_observer NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
      END IF;
      IF current_setting('server_version_num')::integer >= 160000 THEN
        EXECUTE 'GRANT countersign_observer TO countersign_app WITH INHERIT FALSE';
      ELSE
        -- whoever made the role before this migration may have made it inheriting
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'countersign_app' AND rolinherit) THEN
          ALTER ROLE countersign_app NOINHERIT;
        END IF;
        IF NOT EXISTS (SELECT FROM pg_auth_members WHERE roleid = 'countersign_observer'::regrole AND member = 'countersign_app'::regrole) THEN
          GRANT countersign_observer TO countersign_app;
        END IF;
      END IF;
      EXIT;
    EXCEPTION WHEN duplicate_object OR unique_violation OR internal_error THEN -- the last is PostgreSQL's "tuple concurrently updated"
      IF attempt = 10 THEN
        RAISE;
      END IF;
    END;
  END LOOP;
END $$;
--bun:split
GRANT USAGE ON SCHEMA public TO countersign_app, countersign_observer;
--bun:split
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
--bun:split
-- secure_table puts a tenant's table behind its walls. Every table with a tenant_id calls it once.
--   member 'none':   members of an account see no row (they may still write history)
--   member 'tenant': members see all rows of the tenant
--   member <column>: members see the rows of their account, which the column names; a transaction that does what members
--                    of several accounts have asked for lists those
-- privileges: what the program may do, such as 'SELECT, INSERT'.
CREATE FUNCTION secure_table(name text, member text, privileges text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  tenant  constant text := $q$nullif(current_setting('app.tenant_id', true), '')::uuid$q$;
  account constant text := $q$nullif(current_setting('app.account_id', true), '')$q$;
BEGIN
  EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
  EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
  EXECUTE format('ALTER TABLE %I ALTER COLUMN tenant_id SET DEFAULT %s', name, tenant);
  EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = %s)', name, tenant);
  -- Plans are made once for all tenants, so they must be right for the largest: without this the planner takes the average
  -- tenant, who has a handful of rows among thousands of tenants, and reads all rows of a tenant to find one.
  EXECUTE format('ALTER TABLE %I ALTER COLUMN tenant_id SET (n_distinct = 2)', name);
  IF member = 'none' THEN
    EXECUTE format('CREATE POLICY member ON %I AS RESTRICTIVE FOR SELECT USING (%s IS NULL)', name, account);
  ELSIF member <> 'tenant' THEN
    -- CASE and not OR: the planner takes the OR for a filter that keeps few rows, and then plans badly for staff
    EXECUTE format('CREATE POLICY member ON %I AS RESTRICTIVE USING (CASE WHEN %s IS NULL THEN true ELSE position(%I::text IN %s) > 0 END)', name, account, member, account);
  END IF;
  EXECUTE format('GRANT %s ON %I TO countersign_app', privileges, name);
END $$;
--bun:split
-- observe lets countersign_observer see the named columns across tenants.
CREATE FUNCTION observe(name text, columns text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE POLICY observer ON %I FOR SELECT TO countersign_observer USING (true)', name);
  EXECUTE format('GRANT SELECT (%s) ON %I TO countersign_observer', columns, name);
END $$;
--bun:split
-- refuse_change is the trigger of history: what was written stays, for every role.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % is refused, write a correction instead', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;
--bun:split
-- What a column may hold is said by domains where tables are written to all day: PostgreSQL reads all CHECKs of a table
-- anew for each statement, and of the domains only those of the columns that the statement writes.
CREATE DOMAIN currency_code AS char(3) CONSTRAINT currency_code_check CHECK (VALUE ~ '^[A-Z]{3}$');
--bun:split
-- An amount in minor units of the currency beside it.
CREATE DOMAIN amount_minor AS bigint CONSTRAINT amount_minor_check CHECK (VALUE >= 0);
--bun:split
CREATE DOMAIN positive_minor AS bigint CONSTRAINT positive_minor_check CHECK (VALUE > 0);
--bun:split
CREATE DOMAIN "json_object" AS jsonb CONSTRAINT json_object_check CHECK (jsonb_typeof(VALUE) = 'object');
--bun:split
CREATE DOMAIN sha256_hash AS bytea CONSTRAINT sha256_hash_check CHECK (length(VALUE) = 32);
--bun:split
-- The tenant's own name for a thing.
CREATE DOMAIN external_reference AS text CONSTRAINT external_reference_check CHECK (length(VALUE) BETWEEN 1 AND 100);
