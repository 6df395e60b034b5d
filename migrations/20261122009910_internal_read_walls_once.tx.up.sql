-- Who reads and writes is the same for all rows of a statement, so a wall asks for it once for each statement and not once
-- for each row: as a scalar subquery, which PostgreSQL computes when it is first needed. Read for each row, it was a sixth
-- of what settlement costs PostgreSQL.
CREATE OR REPLACE FUNCTION secure_table(name text, member text, privileges text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  tenant  constant text := $q$nullif(current_setting('app.tenant_id', true), '')::uuid$q$;
  account constant text := $q$nullif(current_setting('app.account_id', true), '')$q$;
BEGIN
  EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
  EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
  EXECUTE format('ALTER TABLE %I ALTER COLUMN tenant_id SET DEFAULT %s', name, tenant);
  EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = (SELECT %s))', name, tenant);
  -- Plans are made once for all tenants, so they must be right for the largest: without this the planner takes the average
  -- tenant, who has a handful of rows among thousands of tenants, and reads all rows of a tenant to find one.
  EXECUTE format('ALTER TABLE %I ALTER COLUMN tenant_id SET (n_distinct = 2)', name);
  IF member = 'none' THEN
    EXECUTE format('CREATE POLICY member ON %I AS RESTRICTIVE FOR SELECT USING ((SELECT %s) IS NULL)', name, account);
  ELSIF member <> 'tenant' THEN
    -- CASE and not OR: the planner takes the OR for a filter that keeps few rows, and then plans badly for staff
    EXECUTE format('CREATE POLICY member ON %I AS RESTRICTIVE USING (CASE WHEN (SELECT %s) IS NULL THEN true ELSE position(%I::text IN (SELECT %s)) > 0 END)', name, account, member, account);
  END IF;
  EXECUTE format('GRANT %s ON %I TO countersign_app', privileges, name);
END $$;
--bun:split
-- and the walls that stand already
DO $$
DECLARE
  setting constant text := $q$(\(NULLIF\(current_setting\('app\.[a-z_]+'::text, true\), ''::text\)\)::uuid|NULLIF\(current_setting\('app\.[a-z_]+'::text, true\), ''::text\)|current_setting\('app\.[a-z_]+'::text, true\))$q$;
  wall record;
BEGIN
  FOR wall IN SELECT polname, polrelid::regclass AS name, pg_get_expr(polqual, polrelid) AS reads, pg_get_expr(polwithcheck, polrelid) AS writes FROM pg_policy LOOP
    wall.reads := regexp_replace(wall.reads, setting, '(SELECT \1)', 'g');
    wall.writes := regexp_replace(wall.writes, setting, '(SELECT \1)', 'g');
    IF wall.reads LIKE '%app.%' THEN
      EXECUTE format('ALTER POLICY %I ON %s USING (%s)', wall.polname, wall.name, wall.reads);
    END IF;
    IF wall.writes LIKE '%app.%' THEN
      EXECUTE format('ALTER POLICY %I ON %s WITH CHECK (%s)', wall.polname, wall.name, wall.writes);
    END IF;
  END LOOP;
END $$;
