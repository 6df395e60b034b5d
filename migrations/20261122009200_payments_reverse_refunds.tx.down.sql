CREATE OR REPLACE FUNCTION payments_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_ARGV[0] = 'transition' THEN
    RAISE EXCEPTION 'a payment cannot go from % to %', OLD.status, NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_transition';
  END IF;
  RAISE EXCEPTION 'what was claimed, and what was decided, cannot be changed' USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_immutable';
END $$;
--bun:split
CREATE OR REPLACE FUNCTION refunds_guard() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE OR REPLACE FUNCTION refunds_within() RETURNS trigger LANGUAGE plpgsql AS $$
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
ALTER TABLE refunds
  DROP CONSTRAINT refunds_reversed_check,
  DROP CONSTRAINT refunds_payout_check,
  ADD CONSTRAINT refunds_payout_check CHECK (mode = 'api' AND payout_reference = '' OR mode = 'manual' AND (status <> 'succeeded' OR payout_reference <> '')),
  DROP CONSTRAINT refunds_succeeded_check,
  ADD CONSTRAINT refunds_succeeded_check CHECK (CASE WHEN status = 'succeeded'
    THEN succeeded_at IS NOT NULL AND invoice_minor IS NOT NULL AND credit_minor IS NOT NULL AND revenue_minor IS NOT NULL AND invoice_minor + credit_minor + revenue_minor = amount_minor
    ELSE succeeded_at IS NULL AND invoice_minor IS NULL AND credit_minor IS NULL AND revenue_minor IS NULL AND credit_note_id IS NULL END),
  DROP CONSTRAINT refunds_status_check,
  ADD CONSTRAINT refunds_status_check CHECK (status IN ('pending_approval', 'pending', 'succeeded', 'failed', 'cancelled')),
  DROP COLUMN reversal_reason,
  DROP COLUMN reversed_label,
  DROP COLUMN reversed_by,
  DROP COLUMN reversed_at,
  DROP COLUMN moved_minor,
  DROP COLUMN owed_again;
