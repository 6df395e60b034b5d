-- What an account is billed each month, and charged for, until it is cancelled (S1-05).
CREATE TABLE subscriptions (
  tenant_id      uuid NOT NULL,
  id             uuid NOT NULL, -- version 7, so ids are in the order of making
  account_id     uuid NOT NULL,
  description    text NOT NULL CHECK (length(description) BETWEEN 1 AND 400),
  currency       currency_code NOT NULL,
  quantity       numeric(20,6) NOT NULL CHECK (quantity > 0),
  unit_price     numeric(20,6) NOT NULL CHECK (unit_price > 0),
  tax_rate       numeric(9,6) NOT NULL DEFAULT 0 CHECK (tax_rate BETWEEN 0 AND 1), -- a fraction: 0.15 is 15 %
  credits        service_credits NOT NULL DEFAULT 0, -- of each month
  amount_minor   positive_minor NOT NULL,            -- what each month comes to, with tax
  payment_source uuid NOT NULL,                      -- a saved method of the account; no foreign key, because it may be removed
  starts_on      date NOT NULL,                      -- the first day of the first month
  months_billed  integer NOT NULL DEFAULT 0 CHECK (months_billed >= 0),
  status         text NOT NULL DEFAULT 'active' CONSTRAINT subscriptions_status_check CHECK (status IN ('active', 'cancelled')),
  renew_at       timestamptz, -- when the next month is billed
  cancelled_at   timestamptz,
  cancel_reason  text NOT NULL DEFAULT '' CHECK (length(cancel_reason) <= 500),
  created_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT subscriptions_account_fk FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE RESTRICT,
  CONSTRAINT subscriptions_cancelled_check CHECK ((status = 'active') = (renew_at IS NOT NULL) AND (status = 'cancelled') = (cancelled_at IS NOT NULL))
);
--bun:split
CREATE INDEX subscriptions_account_idx ON subscriptions (tenant_id, account_id, id DESC);
--bun:split
CREATE INDEX subscriptions_status_idx ON subscriptions (tenant_id, status, id DESC);
--bun:split
CREATE INDEX subscriptions_renew_at_idx ON subscriptions (tenant_id, renew_at) WHERE renew_at IS NOT NULL;
--bun:split
SELECT secure_table('subscriptions', 'account_id', 'SELECT, INSERT, UPDATE (months_billed, status, renew_at, cancelled_at, cancel_reason)');
--bun:split
SELECT observe('subscriptions', 'tenant_id, renew_at');
--bun:split
-- What was agreed stays as it is, months are billed one after the other, and what was cancelled does not come back, whoever writes.
CREATE FUNCTION subscriptions_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status = 'cancelled' THEN
    RAISE EXCEPTION 'a cancelled subscription stays as it is' USING ERRCODE = 'check_violation', CONSTRAINT = 'subscriptions_transition';
  END IF;
  IF NEW.months_billed NOT IN (OLD.months_billed, OLD.months_billed + 1) THEN
    RAISE EXCEPTION 'months are billed one after the other' USING ERRCODE = 'check_violation', CONSTRAINT = 'subscriptions_months';
  END IF;
  IF (OLD.tenant_id, OLD.id, OLD.account_id, OLD.description, OLD.currency, OLD.quantity, OLD.unit_price, OLD.tax_rate, OLD.credits, OLD.amount_minor, OLD.payment_source, OLD.starts_on, OLD.created_at)
     IS DISTINCT FROM (NEW.tenant_id, NEW.id, NEW.account_id, NEW.description, NEW.currency, NEW.quantity, NEW.unit_price, NEW.tax_rate, NEW.credits, NEW.amount_minor, NEW.payment_source, NEW.starts_on, NEW.created_at) THEN
    RAISE EXCEPTION 'what was agreed stays as it is: cancel the subscription and make another' USING ERRCODE = 'check_violation', CONSTRAINT = 'subscriptions_immutable';
  END IF;
  RETURN NEW;
END $$;
--bun:split
CREATE TRIGGER subscriptions_guard BEFORE UPDATE ON subscriptions FOR EACH ROW EXECUTE FUNCTION subscriptions_guard();
--bun:split
-- The months that were billed: each once, with an invoice of its own, and charged at most once.
CREATE TABLE subscription_months (
  tenant_id       uuid NOT NULL,
  subscription_id uuid NOT NULL,
  month           integer NOT NULL CHECK (month >= 1), -- of the subscription
  account_id      uuid NOT NULL,
  starts_on       date NOT NULL,
  ends_on         date NOT NULL,
  invoice_id      uuid NOT NULL,
  attempt         integer NOT NULL DEFAULT 1 CHECK (attempt >= 1), -- another one when the provider has never heard of the last
  charge_at       timestamptz, -- when the provider is asked, or asked again; null: it has said what became of it, or nothing is to be charged
  payment_id      uuid,        -- what it was asked for last; null: nothing
  failure_code    text NOT NULL DEFAULT '' CHECK (length(failure_code) <= 100), -- why nothing was charged; empty: it was, or nothing was owed
  created_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, subscription_id, month),
  CONSTRAINT subscription_months_invoice_key UNIQUE (tenant_id, invoice_id),
  CONSTRAINT subscription_months_subscription_fk FOREIGN KEY (tenant_id, subscription_id) REFERENCES subscriptions ON DELETE RESTRICT,
  CONSTRAINT subscription_months_invoice_fk FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices ON DELETE RESTRICT,
  CONSTRAINT subscription_months_payment_fk FOREIGN KEY (tenant_id, payment_id) REFERENCES payments ON DELETE RESTRICT,
  CONSTRAINT subscription_months_days_check CHECK (starts_on <= ends_on),
  CONSTRAINT subscription_months_charged_check CHECK (charge_at IS NULL OR failure_code = '')
);
--bun:split
CREATE INDEX subscription_months_charge_at_idx ON subscription_months (tenant_id, charge_at) WHERE charge_at IS NOT NULL;
--bun:split
SELECT secure_table('subscription_months', 'account_id', 'SELECT, INSERT, UPDATE (attempt, charge_at, payment_id, failure_code)');
--bun:split
SELECT observe('subscription_months', 'tenant_id, charge_at');
--bun:split
CREATE FUNCTION subscription_months_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.charge_at IS NULL THEN
    RAISE EXCEPTION 'a month is charged once' USING ERRCODE = 'check_violation', CONSTRAINT = 'subscription_months_once';
  END IF;
  IF (OLD.tenant_id, OLD.subscription_id, OLD.month, OLD.account_id, OLD.starts_on, OLD.ends_on, OLD.invoice_id, OLD.created_at)
     IS DISTINCT FROM (NEW.tenant_id, NEW.subscription_id, NEW.month, NEW.account_id, NEW.starts_on, NEW.ends_on, NEW.invoice_id, NEW.created_at) THEN
    RAISE EXCEPTION 'what was billed stays as it is' USING ERRCODE = 'check_violation', CONSTRAINT = 'subscription_months_immutable';
  END IF;
  RETURN NEW;
END $$;
--bun:split
CREATE TRIGGER subscription_months_guard BEFORE UPDATE ON subscription_months FOR EACH ROW EXECUTE FUNCTION subscription_months_guard();
