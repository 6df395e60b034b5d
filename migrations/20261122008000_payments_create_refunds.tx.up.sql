-- Money that goes back, each time a row of its own. Rows that are neither failed nor cancelled hold their amount: all of a
-- payment's together are never more than it took (W-10).
CREATE TABLE refunds (
  tenant_id          uuid NOT NULL,
  id                 uuid NOT NULL, -- also the provider's idempotency key
  payment_id         uuid NOT NULL,
  invoice_id         uuid,
  account_id         uuid,
  amount_minor       positive_minor NOT NULL,
  currency           currency_code NOT NULL,
  status             text NOT NULL CONSTRAINT refunds_status_check CHECK (status IN ('pending_approval', 'pending', 'succeeded', 'failed', 'cancelled')),
  mode               text NOT NULL CONSTRAINT refunds_mode_check CHECK (mode IN ('api', 'manual')), -- who pays: the provider, or somebody by hand
  reason             text NOT NULL CONSTRAINT refunds_reason_check CHECK (reason IN ('overpayment', 'dispute', 'item_return', 'duplicate', 'other')),
  note               text NOT NULL DEFAULT '' CHECK (length(note) <= 500),
  payout_reference   text NOT NULL DEFAULT '' CHECK (length(payout_reference) <= 120), -- of what was paid by hand
  provider_reference text NOT NULL DEFAULT '', -- the provider's name of the refund, where it has one
  overrides_window   boolean NOT NULL DEFAULT false, -- asked for after the tenant's time for refunds (S0D-05)
  by_one             boolean NOT NULL, -- below the tenant's limit when it was asked for
  failure_code       text NOT NULL DEFAULT '', -- of a pending one: why the books could not take what the provider has paid
  failure_reason     text NOT NULL DEFAULT '',
  invoice_minor      amount_minor, -- of what came back, what the invoice is paid less; null until succeeded
  credit_minor       amount_minor, -- the customer's credit
  revenue_minor      amount_minor, -- revenue without an invoice
  credit_note_id     uuid,
  requested_by       uuid, -- null: a program
  requested_label    text NOT NULL,
  busy_until         timestamptz, -- somebody asks the provider; over or null: whoever wants may take it
  next_ask_at        timestamptz, -- when the worker asks; null: nothing is expected
  version            integer NOT NULL DEFAULT 1,
  created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  approved_at        timestamptz,
  succeeded_at       timestamptz,
  failed_at          timestamptz,
  cancelled_at       timestamptz,
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT refunds_payment_fk FOREIGN KEY (tenant_id, payment_id) REFERENCES payments ON DELETE RESTRICT,
  CONSTRAINT refunds_succeeded_check CHECK (CASE WHEN status = 'succeeded'
    THEN succeeded_at IS NOT NULL AND invoice_minor IS NOT NULL AND credit_minor IS NOT NULL AND revenue_minor IS NOT NULL AND invoice_minor + credit_minor + revenue_minor = amount_minor
    ELSE succeeded_at IS NULL AND invoice_minor IS NULL AND credit_minor IS NULL AND revenue_minor IS NULL AND credit_note_id IS NULL END),
  CONSTRAINT refunds_ended_check CHECK ((status = 'failed') = (failed_at IS NOT NULL) AND (status = 'cancelled') = (cancelled_at IS NOT NULL)),
  CONSTRAINT refunds_asking_check CHECK (next_ask_at IS NULL OR status = 'pending' AND mode = 'api'),
  CONSTRAINT refunds_payout_check CHECK (mode = 'api' AND payout_reference = '' OR mode = 'manual' AND (status <> 'succeeded' OR payout_reference <> '')),
  CONSTRAINT refunds_by_one_check CHECK (CASE WHEN by_one THEN status <> 'pending_approval' AND approved_at IS NULL
    ELSE approved_at IS NOT NULL OR status IN ('pending_approval', 'failed', 'cancelled') END)
);
--bun:split
CREATE INDEX refunds_payment_idx ON refunds (tenant_id, payment_id, created_at DESC, id DESC);
--bun:split
CREATE INDEX refunds_created_at_idx ON refunds (tenant_id, created_at DESC, id DESC);
--bun:split
CREATE INDEX refunds_account_idx ON refunds (tenant_id, account_id, created_at DESC, id DESC);
--bun:split
CREATE INDEX refunds_waiting_idx ON refunds (tenant_id, created_at, id) WHERE status = 'pending_approval';
--bun:split
CREATE INDEX refunds_asking_idx ON refunds (tenant_id, next_ask_at) WHERE next_ask_at IS NOT NULL;
--bun:split
SELECT secure_table('refunds', 'none', 'SELECT, INSERT, UPDATE');
--bun:split
SELECT observe('refunds', 'tenant_id, next_ask_at');
--bun:split
-- Whoever adds a refund holds the payment: two who come at the same time see each other.
CREATE FUNCTION refunds_within() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  taken bigint;
BEGIN
  SELECT coalesce(p.received_minor, p.amount_minor) INTO taken FROM payments p
    WHERE p.tenant_id = NEW.tenant_id AND p.id = NEW.payment_id AND p.currency = NEW.currency AND p.status IN ('succeeded', 'partially_refunded') FOR NO KEY UPDATE;
  IF taken IS NULL OR NEW.status NOT IN ('pending_approval', 'pending') THEN
    RAISE EXCEPTION 'this cannot be refunded' USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_payment_check', TABLE = 'refunds';
  END IF;
  IF (SELECT sum(r.amount_minor) FROM refunds r
      WHERE r.tenant_id = NEW.tenant_id AND r.payment_id = NEW.payment_id AND r.status NOT IN ('failed', 'cancelled')) > taken THEN
    RAISE EXCEPTION 'more than the payment took would be refunded' USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_sum_check', TABLE = 'refunds';
  END IF;
  RETURN NULL;
END $$;
--bun:split
CREATE TRIGGER refunds_within AFTER INSERT ON refunds FOR EACH ROW EXECUTE FUNCTION refunds_within();
--bun:split
CREATE FUNCTION refunds_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (('pending_approval', 'pending'), ('pending_approval', 'failed'), ('pending_approval', 'cancelled'),
    ('pending', 'succeeded'), ('pending', 'failed'), ('pending', 'cancelled')) THEN
    RAISE EXCEPTION 'a refund cannot go from % to %', OLD.status, NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_transition';
  END IF;
  IF (OLD.tenant_id, OLD.id, OLD.payment_id, OLD.invoice_id, OLD.account_id, OLD.amount_minor, OLD.currency, OLD.mode, OLD.reason, OLD.note, OLD.overrides_window, OLD.by_one,
      OLD.requested_by, OLD.requested_label, OLD.created_at)
    IS DISTINCT FROM (NEW.tenant_id, NEW.id, NEW.payment_id, NEW.invoice_id, NEW.account_id, NEW.amount_minor, NEW.currency, NEW.mode, NEW.reason, NEW.note, NEW.overrides_window, NEW.by_one,
      NEW.requested_by, NEW.requested_label, NEW.created_at)
    OR OLD.payout_reference <> '' AND NEW.payout_reference <> OLD.payout_reference
    OR OLD.status IN ('succeeded', 'failed', 'cancelled') THEN
    RAISE EXCEPTION 'what was asked for, and what has come to an end, stays as it is' USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_immutable';
  END IF;
  RETURN NEW;
END $$;
--bun:split
CREATE TRIGGER refunds_guard BEFORE UPDATE ON refunds FOR EACH ROW EXECUTE FUNCTION refunds_guard();
