-- A tenant in test mode has no real money: everything in it is a test, its ledger too, and no report of the installation
-- counts it. Only there the sandbox gateway works (S0D-11). What was posted stays of its kind, so the mode is for life.
ALTER TABLE tenants
  ADD COLUMN test_mode                        boolean NOT NULL DEFAULT false,
  ADD COLUMN apply_credit_automatically       boolean NOT NULL DEFAULT false, -- a finalised invoice takes the customer's credit
  ADD COLUMN refund_window_days               integer NOT NULL DEFAULT 90 CHECK (refund_window_days BETWEEN 0 AND 3650), -- S0D-05; 0: never too late
  ADD COLUMN two_refund_approvals_above_minor bigint CHECK (two_refund_approvals_above_minor > 0), -- in default_currency; null: one person refunds
  ADD COLUMN write_off_tolerance_minor        bigint NOT NULL DEFAULT 0 CHECK (write_off_tolerance_minor >= 0), -- in default_currency; above it a second person decides
  ADD COLUMN payment_limit_minor              bigint CHECK (payment_limit_minor > 0), -- S0D-28; in default_currency; null: none
  ADD COLUMN daily_limit_minor                bigint CHECK (daily_limit_minor > 0),   -- of one account in 24 hours
  ADD COLUMN hourly_payments                  integer CHECK (hourly_payments > 0),    -- S0D-27; of one account; null: any number
  ADD COLUMN duplicate_window_minutes         integer NOT NULL DEFAULT 0 CHECK (duplicate_window_minutes BETWEEN 0 AND 1440); -- S0D-26; 0: not looked for
--bun:split
CREATE FUNCTION tenants_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a tenant is a test or it is not, for life' USING ERRCODE = 'check_violation', CONSTRAINT = 'tenants_test_mode';
END $$;
--bun:split
CREATE TRIGGER tenants_guard BEFORE UPDATE ON tenants FOR EACH ROW WHEN (OLD.test_mode <> NEW.test_mode) EXECUTE FUNCTION tenants_guard();
--bun:split
ALTER DOMAIN decision_subject DROP CONSTRAINT decision_subject_check;
--bun:split
ALTER DOMAIN decision_subject ADD CONSTRAINT decision_subject_check CHECK (VALUE IN ('payment', 'refund', 'write_off'));
--bun:split
-- A customer's credit is spent only as far as there is some, whoever posts: what is owed to him is never less than
-- nothing. The row that says so is locked by whoever posts to it.
ALTER TABLE ledger_balances ADD COLUMN code text NOT NULL DEFAULT '';
--bun:split
-- The owner of the tables may be subject to their policies, which know no tenant here.
ALTER TABLE ledger_accounts NO FORCE ROW LEVEL SECURITY;
--bun:split
ALTER TABLE ledger_balances NO FORCE ROW LEVEL SECURITY;
--bun:split
UPDATE ledger_balances b SET code = a.code FROM ledger_accounts a WHERE a.tenant_id = b.tenant_id AND a.id = b.ledger_account_id;
--bun:split
ALTER TABLE ledger_accounts FORCE ROW LEVEL SECURITY;
--bun:split
ALTER TABLE ledger_balances FORCE ROW LEVEL SECURITY;
--bun:split
ALTER TABLE ledger_balances ALTER COLUMN code DROP DEFAULT;
--bun:split
-- No CHECK: of a row that is there, PostgreSQL would check what is added to it as well, and not only what comes out.
CREATE FUNCTION ledger_balances_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a customer cannot spend more credit than he has' USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_balances_credit_check', TABLE = 'ledger_balances';
END $$;
--bun:split
CREATE TRIGGER ledger_balances_guard AFTER INSERT OR UPDATE ON ledger_balances FOR EACH ROW WHEN (NEW.code = 'customer_credit' AND NEW.amount_minor > 0)
  EXECUTE FUNCTION ledger_balances_guard();
