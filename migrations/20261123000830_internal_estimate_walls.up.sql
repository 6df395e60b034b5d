-- The walls that show members nothing let staff see everything, and the planner took them for filters that keep one row of two
-- hundred: up to some five thousand rows of a tenant a page of the audit log, of jobs, refunds or of what providers have told read
-- and sorted them all, and with a filter even more. As CASE, like the walls between accounts, they are taken for half.
CREATE OR REPLACE FUNCTION secure_table(name text, member text, privileges text) RETURNS void LANGUAGE plpgsql AS $$
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
  -- CASE, and neither a bare question nor OR: the planner takes these for filters that keep few rows, and then plans badly for staff
  IF member = 'none' THEN
    EXECUTE format('CREATE POLICY member ON %I AS RESTRICTIVE FOR SELECT USING (CASE WHEN %s IS NULL THEN true ELSE false END)', name, account);
  ELSIF member <> 'tenant' THEN
    EXECUTE format('CREATE POLICY member ON %I AS RESTRICTIVE USING (CASE WHEN %s IS NULL THEN true ELSE position(%I::text IN %s) > 0 END)', name, account, member, account);
  END IF;
  EXECUTE format('GRANT %s ON %I TO countersign_app', privileges, name);
END $$;
--bun:split
-- Each in a transaction of its own, as changing one shuts its table.
DO $$
DECLARE
  wall record;
BEGIN
  FOR wall IN SELECT polname, polrelid::regclass AS name FROM pg_policy
      WHERE pg_get_expr(polqual, polrelid) = $q$(NULLIF(current_setting('app.account_id'::text, true), ''::text) IS NULL)$q$ LOOP
    EXECUTE format('ALTER POLICY %I ON %s USING (CASE WHEN nullif(current_setting(%L, true), %L) IS NULL THEN true ELSE false END)', wall.polname, wall.name, 'app.account_id', '');
    COMMIT;
  END LOOP;
END $$;
