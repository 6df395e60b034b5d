-- Who writes is the same for all rows of a statement, so a wall asks for it once for each statement that writes and not once for
-- each row: as a scalar subquery, which PostgreSQL computes when it is first needed. Asked for each row, it was a sixth of what
-- settlement costs PostgreSQL. Statements that read have the tenant in their conditions, so PostgreSQL asks once anyway; there
-- the wall stays as it is, because subqueries take longer to plan.
CREATE OR REPLACE FUNCTION secure_table(name text, member text, privileges text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  tenant  constant text := $q$nullif(current_setting('app.tenant_id', true), '')::uuid$q$;
  account constant text := $q$nullif(current_setting('app.account_id', true), '')$q$;
BEGIN
  EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
  EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
  EXECUTE format('ALTER TABLE %I ALTER COLUMN tenant_id SET DEFAULT %s', name, tenant);
  EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = %s) WITH CHECK (tenant_id = (SELECT %s))', name, tenant, tenant);
  -- Plans are made once for all tenants, so they must be right for the largest: without this the planner takes the average
  -- tenant, who has a handful of rows among thousands of tenants, and reads all rows of a tenant to find one.
  EXECUTE format('ALTER TABLE %I ALTER COLUMN tenant_id SET (n_distinct = 2)', name);
  IF member = 'none' THEN
    EXECUTE format('CREATE POLICY member ON %I AS RESTRICTIVE FOR SELECT USING (%s IS NULL)', name, account);
  ELSIF member <> 'tenant' THEN
    -- CASE and not OR: the planner takes the OR for a filter that keeps few rows, and then plans badly for staff
    EXECUTE format('CREATE POLICY member ON %1$I AS RESTRICTIVE USING (CASE WHEN %2$s IS NULL THEN true ELSE position(%3$I::text IN %2$s) > 0 END)
      WITH CHECK (CASE WHEN (SELECT %2$s) IS NULL THEN true ELSE position(%3$I::text IN (SELECT %2$s)) > 0 END)', name, account, member);
  END IF;
  EXECUTE format('GRANT %s ON %I TO countersign_app', privileges, name);
END $$;
--bun:split
-- And the walls that stand already, each in a transaction of its own: changing a wall shuts its table, and who shut many at
-- once would wait for those who read them in another order. Until the last is changed some are read once and some for each
-- row, which is the same but for the time that it takes.
DO $$
DECLARE
  setting constant text := $q$(?<!SELECT )(\(NULLIF\(current_setting\('app\.[a-z_]+'::text, true\), ''::text\)\)::uuid|NULLIF\(current_setting\('app\.[a-z_]+'::text, true\), ''::text\)(?!\)::uuid)|(?<!NULLIF\()current_setting\('app\.[a-z_]+'::text, true\))$q$;
  wall record;
BEGIN
  FOR wall IN SELECT polname, polrelid::regclass AS name, pg_get_expr(coalesce(polwithcheck, polqual), polrelid) AS writes FROM pg_policy WHERE polcmd <> 'r' LOOP
    IF wall.writes LIKE '%app.%' THEN
      EXECUTE format('ALTER POLICY %I ON %s WITH CHECK (%s)', wall.polname, wall.name, regexp_replace(wall.writes, setting, '(SELECT \1)', 'g'));
    END IF;
    COMMIT;
  END LOOP;
END $$;
