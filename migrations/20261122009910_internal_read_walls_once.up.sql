-- Who writes is the same for all rows of a statement. The walls of tables that settlement writes in sets ask for it once for each
-- statement that writes, and not once for each row: as a scalar subquery, which PostgreSQL computes when it is first needed. Asked
-- for each row, it was a sixth of what settlement costs PostgreSQL. Everywhere else the walls stay as they are: a subquery costs
-- more than a row, and what reads has the tenant in its conditions, so it asks once anyway.
-- Each wall is changed in a transaction of its own: changing it shuts its table, and who shut many at once would wait for those
-- who read them in another order.
DO $$
DECLARE
  setting constant text := $q$(\(NULLIF\(current_setting\('app\.[a-z_]+'::text, true\), ''::text\)\)::uuid|NULLIF\(current_setting\('app\.[a-z_]+'::text, true\), ''::text\))$q$;
  wall record;
BEGIN
  FOR wall IN SELECT polname, polrelid::regclass AS name, pg_get_expr(polqual, polrelid) AS seen FROM pg_policy WHERE polcmd = '*'
      AND polrelid = ANY (ARRAY['payments', 'invoices', 'ledger_transactions', 'ledger_entries', 'ledger_balances', 'events']::regclass[]) LOOP
    EXECUTE format('ALTER POLICY %I ON %s WITH CHECK (%s)', wall.polname, wall.name, regexp_replace(wall.seen, setting, '(SELECT \1)'));
    COMMIT;
  END LOOP;
END $$;
