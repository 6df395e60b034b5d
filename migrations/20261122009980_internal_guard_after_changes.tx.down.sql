-- As before: the guards stand before the change.
DO $$
DECLARE
  guard record;
BEGIN
  FOR guard IN SELECT tgname, tgrelid::regclass AS name, pg_get_triggerdef(oid) AS text FROM pg_trigger
      WHERE (tgrelid = 'payments'::regclass AND tgname IN ('payments_guard', 'payments_keep_ordered', 'payments_transition')
        OR tgrelid = 'invoices'::regclass AND tgname IN ('invoices_guard', 'invoices_transition')) LOOP
    EXECUTE format('DROP TRIGGER %I ON %s', guard.tgname, guard.name);
    EXECUTE replace(guard.text, ' AFTER UPDATE ON ', ' BEFORE UPDATE ON ');
  END LOOP;
END $$;
