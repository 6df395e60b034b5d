ALTER POLICY member ON invoices USING (CASE WHEN nullif(current_setting('app.account_id', true), '') IS NULL THEN true
  ELSE position(account_id::text IN nullif(current_setting('app.account_id', true), '')) > 0 END);
--bun:split
ALTER POLICY member ON payments USING (CASE WHEN nullif(current_setting('app.account_id', true), '') IS NULL THEN true
  ELSE position(account_id::text IN nullif(current_setting('app.account_id', true), '')) > 0 END);
