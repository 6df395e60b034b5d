CREATE OR REPLACE FUNCTION secure_table(name text, member text, privileges text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  tenant  constant text := $q$nullif(current_setting('app.tenant_id', true), '')::uuid$q$;
  account constant text := $q$nullif(current_setting('app.account_id', true), '')$q$;
BEGIN
  EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
  EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
  EXECUTE format('ALTER TABLE %I ALTER COLUMN tenant_id SET DEFAULT %s', name, tenant);
  EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = %s)', name, tenant);
  EXECUTE format('ALTER TABLE %I ALTER COLUMN tenant_id SET (n_distinct = 2)', name);
  IF member = 'none' THEN
    EXECUTE format('CREATE POLICY member ON %I AS RESTRICTIVE FOR SELECT USING (%s IS NULL)', name, account);
  ELSIF member <> 'tenant' THEN
    EXECUTE format('CREATE POLICY member ON %I AS RESTRICTIVE USING (CASE WHEN %s IS NULL THEN true ELSE position(%I::text IN %s) > 0 END)', name, account, member, account);
  END IF;
  EXECUTE format('GRANT %s ON %I TO countersign_app', privileges, name);
END $$;
--bun:split
DO $$
DECLARE
  once constant text := $q$\( SELECT (\(NULLIF\(current_setting\('app\.[a-z_]+'::text, true\), ''::text\)\)::uuid|NULLIF\(current_setting\('app\.[a-z_]+'::text, true\), ''::text\)|current_setting\('app\.[a-z_]+'::text, true\)) AS "?[a-z_]+"?\)$q$;
  wall record;
BEGIN
  FOR wall IN SELECT polname, polrelid::regclass AS name, pg_get_expr(polwithcheck, polrelid) AS writes FROM pg_policy WHERE polcmd <> 'r' LOOP
    IF wall.writes LIKE '%app.%' THEN
      EXECUTE format('ALTER POLICY %I ON %s WITH CHECK (%s)', wall.polname, wall.name, regexp_replace(wall.writes, once, '\1', 'g'));
    END IF;
    COMMIT;
  END LOOP;
END $$;
