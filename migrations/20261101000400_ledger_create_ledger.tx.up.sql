-- The chart: one row for each code, owner and unit, made on demand. Rows are never changed or deleted, so entries may
-- rely on them without locking them.
CREATE TABLE ledger_accounts (
  tenant_id   uuid NOT NULL,
  id          uuid NOT NULL,
  code        text NOT NULL,              -- receivable, customer_credit, clearing, bank, revenue, …
  owner       text NOT NULL DEFAULT '',   -- the account, method, issuer or provider it is kept for; empty: the tenant's own
  currency    text NOT NULL,              -- ISO 4217, or credit for service credits, which are units and not money
  class       text NOT NULL CHECK (class IN ('asset', 'liability', 'income', 'expense', 'unit')),
  customer_id uuid,                       -- set when the owner is an account
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT ledger_accounts_code_key UNIQUE (tenant_id, code, owner, currency),
  CONSTRAINT ledger_accounts_customer_fk FOREIGN KEY (tenant_id, customer_id) REFERENCES accounts ON DELETE RESTRICT,
  CONSTRAINT ledger_accounts_unit_check CHECK (CASE WHEN class = 'unit' THEN currency = 'credit' ELSE currency ~ '^[A-Z]{3}$' END)
);
--bun:split
CREATE INDEX ledger_accounts_customer_idx ON ledger_accounts (tenant_id, customer_id) WHERE customer_id IS NOT NULL;
--bun:split
CREATE INDEX ledger_accounts_created_at_idx ON ledger_accounts (tenant_id, created_at DESC, id DESC);
--bun:split
SELECT secure_table('ledger_accounts', 'customer_id', 'SELECT, INSERT');
--bun:split
CREATE TRIGGER ledger_accounts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_accounts EXECUTE FUNCTION refuse_change();
--bun:split
-- A balanced group of entries with one cause. The unique cause is what makes money count once.
CREATE TABLE ledger_transactions (
  tenant_id   uuid NOT NULL,
  id          uuid NOT NULL,
  cause       text NOT NULL, -- such as payment:<id>:settle
  kind        text NOT NULL, -- invoice_finalized, payment_settled, credits_granted, …
  lines       smallint NOT NULL CHECK (lines >= 2),
  customer_id uuid,
  invoice_id  uuid,
  payment_id  uuid,
  corrects    uuid, -- the transaction that this one reverses
  posted_by   text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT ledger_transactions_cause_key UNIQUE (tenant_id, cause),
  CONSTRAINT ledger_transactions_corrects_fk FOREIGN KEY (tenant_id, corrects) REFERENCES ledger_transactions ON DELETE RESTRICT
);
--bun:split
CREATE INDEX ledger_transactions_payment_idx ON ledger_transactions (tenant_id, payment_id) WHERE payment_id IS NOT NULL;
--bun:split
CREATE INDEX ledger_transactions_invoice_idx ON ledger_transactions (tenant_id, invoice_id) WHERE invoice_id IS NOT NULL;
--bun:split
CREATE UNIQUE INDEX ledger_transactions_corrects_key ON ledger_transactions (tenant_id, corrects) WHERE corrects IS NOT NULL;
--bun:split
SELECT secure_table('ledger_transactions', 'customer_id', 'SELECT, INSERT');
--bun:split
CREATE TRIGGER ledger_transactions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transactions EXECUTE FUNCTION refuse_change();
--bun:split
CREATE TABLE ledger_entries (
  tenant_id         uuid NOT NULL,
  transaction_id    uuid NOT NULL,
  line              smallint NOT NULL CHECK (line >= 1),
  ledger_account_id uuid NOT NULL,
  amount_minor      bigint NOT NULL CHECK (amount_minor <> 0), -- positive: debit, negative: credit
  currency          text NOT NULL,
  created_at        timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, transaction_id, line)
);
--bun:split
-- Transaction ids are of version 7, so this is the order of posting, as in the primary key: lists read both backwards.
CREATE INDEX ledger_entries_account_idx ON ledger_entries (tenant_id, ledger_account_id, transaction_id) INCLUDE (amount_minor, created_at);
--bun:split
-- Double entry, enforced for a whole statement at once: each transaction's lines are all there, numbered from one, in
-- the currency of their account, and sum to zero in each currency. What a row-wise foreign key would check is checked
-- here in sets: the transaction and the accounts exist in the tenant. Neither can be deleted, so it stays true.
-- Each transaction and account is looked up by its key, never by a join or a scan: the plan is kept by the session, and
-- one that was right when the tables were small would read them whole at each commit after they have grown.
CREATE FUNCTION ledger_entries_balance() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  bad uuid;
BEGIN
  SELECT transaction_id INTO bad FROM added GROUP BY tenant_id, transaction_id, currency HAVING sum(amount_minor) <> 0 LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'ledger transaction % does not balance', bad USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entries_balance';
  END IF;
  SELECT a.transaction_id INTO bad
  FROM (SELECT tenant_id, transaction_id, count(*) AS n, max(line) AS last FROM added GROUP BY tenant_id, transaction_id) a
  WHERE (SELECT t.lines = a.n AND t.lines = a.last FROM ledger_transactions t WHERE t.tenant_id = a.tenant_id AND t.id = a.transaction_id) IS NOT TRUE LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'ledger transaction % is unknown or not all of its lines are here', bad USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entries_complete';
  END IF;
  SELECT e.ledger_account_id INTO bad
  FROM (SELECT DISTINCT tenant_id, ledger_account_id, currency FROM added) e
  WHERE (SELECT a.currency = e.currency FROM ledger_accounts a WHERE a.tenant_id = e.tenant_id AND a.id = e.ledger_account_id) IS NOT TRUE LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'ledger account % is unknown or has another currency than its entry', bad USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entries_account';
  END IF;
  RETURN NULL;
END $$;
--bun:split
CREATE TRIGGER ledger_entries_balance AFTER INSERT ON ledger_entries REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_balance();
--bun:split
CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries EXECUTE FUNCTION refuse_change();
--bun:split
SELECT secure_table('ledger_entries', 'tenant', 'SELECT, INSERT');
--bun:split
-- A member reads the entries of his own ledger accounts only.
CREATE POLICY member ON ledger_entries AS RESTRICTIVE FOR SELECT USING (nullif(current_setting('app.account_id', true), '') IS NULL
  OR ledger_account_id IN (SELECT a.id FROM ledger_accounts a WHERE position(a.customer_id::text IN current_setting('app.account_id', true)) > 0));
--bun:split
-- Cached balances of the customers' ledger accounts. They can be dropped and replayed at any time, and decide nothing.
-- Accounts that every payment of a tenant touches have no row here: each posting would have to lock it.
CREATE TABLE ledger_balances (
  tenant_id         uuid NOT NULL,
  ledger_account_id uuid NOT NULL,
  customer_id       uuid NOT NULL,
  amount_minor      bigint NOT NULL DEFAULT 0,
  updated_at        timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, ledger_account_id),
  -- a thousand of the largest amounts: far from where 64 bits end, so a balance that grows is refused by name before it overflows
  CONSTRAINT ledger_balances_range CHECK (amount_minor BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT ledger_balances_account_fk FOREIGN KEY (tenant_id, ledger_account_id) REFERENCES ledger_accounts ON DELETE RESTRICT
) WITH (fillfactor = 50);
--bun:split
SELECT secure_table('ledger_balances', 'customer_id', 'SELECT, INSERT, UPDATE, DELETE');
