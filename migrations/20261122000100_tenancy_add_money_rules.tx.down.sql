DROP TRIGGER ledger_balances_guard ON ledger_balances;
--bun:split
DROP FUNCTION ledger_balances_guard();
--bun:split
ALTER TABLE ledger_balances DROP COLUMN code;
--bun:split
ALTER DOMAIN decision_subject DROP CONSTRAINT decision_subject_check;
--bun:split
ALTER DOMAIN decision_subject ADD CONSTRAINT decision_subject_check CHECK (VALUE IN ('payment'));
--bun:split
DROP TRIGGER tenants_guard ON tenants;
--bun:split
DROP FUNCTION tenants_guard();
--bun:split
ALTER TABLE tenants DROP COLUMN test_mode, DROP COLUMN apply_credit_automatically, DROP COLUMN refund_window_days, DROP COLUMN two_refund_approvals_above_minor,
  DROP COLUMN write_off_tolerance_minor, DROP COLUMN payment_limit_minor, DROP COLUMN daily_limit_minor, DROP COLUMN hourly_payments, DROP COLUMN duplicate_window_minutes;
