DO $$
DECLARE
  wall record;
BEGIN
  FOR wall IN SELECT polname, polrelid::regclass AS name, pg_get_expr(polqual, polrelid) AS seen FROM pg_policy WHERE polcmd = '*' AND polwithcheck IS NOT NULL LOOP
    EXECUTE format('ALTER POLICY %I ON %s WITH CHECK (%s)', wall.polname, wall.name, wall.seen);
    COMMIT;
  END LOOP;
END $$;
