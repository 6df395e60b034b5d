ALTER DOMAIN payment_gateway DROP CONSTRAINT payment_gateway_check;
--bun:split
ALTER DOMAIN payment_gateway ADD CONSTRAINT payment_gateway_check CHECK (VALUE IN ('stripe', 'click', 'payme', 'octo', 'cash', 'integrator', 'paypal', 'manual', 'voucher',
  'bkash', 'nagad', 'rocket', 'dbbl', 'sslcommerz', 'sandbox'));
--bun:split
-- Money may come in without a customer (model.md 5.6): it is revenue, and no member sees the payment. What an invoice or a
-- customer's credit takes always has one.
ALTER TABLE payments
  ALTER COLUMN account_id DROP NOT NULL,
  ADD COLUMN revenue_minor  amount_minor,                   -- of what was received, what went to revenue; null: nothing
  ADD COLUMN prepayment     boolean NOT NULL DEFAULT false, -- without an invoice: the customer's credit, and not revenue
  ADD COLUMN receipt_number text,
  DROP CONSTRAINT payments_settled_check,
  ADD CONSTRAINT payments_settled_check CHECK (applied_minor IS NULL OR applied_minor + excess_minor + coalesce(revenue_minor, 0) = coalesce(received_minor, amount_minor)),
  ADD CONSTRAINT payments_account_check CHECK (account_id IS NOT NULL OR invoice_id IS NULL AND gateway <> 'manual' AND NOT prepayment);
--bun:split
CREATE UNIQUE INDEX payments_receipt_number_key ON payments (tenant_id, receipt_number) WHERE receipt_number IS NOT NULL;
--bun:split
-- What is asked of a provider for a payment, written before it is asked (W-13). Settlement never touches it.
CREATE TABLE payment_orders (
  tenant_id       uuid NOT NULL,
  payment_id      uuid NOT NULL,
  account_id      uuid,
  name            text NOT NULL, -- the gateway's, or the one under which the tenant has registered it
  provider_id     text,          -- the provider's name of the order, from its first answer on
  source          text NOT NULL DEFAULT '',      -- the payer's token: the same call is made again with it
  hold            boolean NOT NULL DEFAULT false,
  redirect        jsonb,         -- what the payer must do
  operation       text NOT NULL DEFAULT '' CHECK (operation IN ('', 'begin', 'capture', 'release')), -- that is not answered yet
  operation_id    uuid,          -- the provider's idempotency key, and the subject of ours
  operation_minor positive_minor, -- of a capture
  busy_until      timestamptz,   -- somebody asks the provider; over or null: whoever wants may take it
  asked           integer NOT NULL DEFAULT 0, -- times the state was asked for
  next_ask_at     timestamptz,   -- when it is asked for again; null: nothing is expected any more
  created_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, payment_id),
  CONSTRAINT payment_orders_payment_fk FOREIGN KEY (tenant_id, payment_id) REFERENCES payments ON DELETE RESTRICT,
  CONSTRAINT payment_orders_provider_key UNIQUE (tenant_id, name, provider_id),
  CONSTRAINT payment_orders_asked_check CHECK ((operation = '') = (operation_id IS NULL) AND (operation = 'capture') = (operation_minor IS NOT NULL))
);
--bun:split
CREATE INDEX payment_orders_asking_idx ON payment_orders (tenant_id, next_ask_at) WHERE next_ask_at IS NOT NULL;
--bun:split
SELECT secure_table('payment_orders', 'account_id', 'SELECT, INSERT, UPDATE');
--bun:split
SELECT observe('payment_orders', 'tenant_id, next_ask_at');
--bun:split
-- What was said of a payment and was not believed: too late, or against what is known. Each is kept once.
CREATE TABLE payment_anomalies (
  tenant_id   uuid NOT NULL,
  id          uuid NOT NULL,
  payment_id  uuid NOT NULL,
  kind        text NOT NULL CHECK (kind IN ('late', 'failed_after_success', 'paid_after_end', 'wrong_amount', 'wrong_currency', 'other_reference', 'refunded_elsewhere', 'illegal_transition')),
  source      text NOT NULL, -- who said it, such as callback or status
  details     "json_object" NOT NULL DEFAULT '{}',
  fingerprint sha256_hash NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  resolved_at timestamptz,
  resolved_by uuid,
  note        text NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT payment_anomalies_once_key UNIQUE (tenant_id, payment_id, fingerprint),
  CONSTRAINT payment_anomalies_payment_fk FOREIGN KEY (tenant_id, payment_id) REFERENCES payments ON DELETE RESTRICT
);
--bun:split
SELECT secure_table('payment_anomalies', 'none', 'SELECT, INSERT, UPDATE (resolved_at, resolved_by, note)');
