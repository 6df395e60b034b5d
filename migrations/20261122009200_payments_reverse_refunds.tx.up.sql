-- A refund that somebody has booked by mistake is taken back: it stays, and its inverse is posted. And a refund may leave
-- the sale as it is, so that the customer owes again what goes back (C-22).
ALTER TABLE refunds
  ADD COLUMN owed_again      boolean NOT NULL DEFAULT false, -- without a credit note
  ADD COLUMN moved_minor     amount_minor, -- of invoice_minor, what the invoice did not owe any more: it became credit. Null until reversed
  ADD COLUMN reversed_at     timestamptz,
  ADD COLUMN reversed_by     uuid, -- null: a program
  ADD COLUMN reversed_label  text NOT NULL DEFAULT '',
  ADD COLUMN reversal_reason text NOT NULL DEFAULT '' CHECK (length(reversal_reason) <= 500),
  DROP CONSTRAINT refunds_status_check,
  ADD CONSTRAINT refunds_status_check CHECK (status IN ('pending_approval', 'pending', 'succeeded', 'failed', 'cancelled', 'reversed')),
  DROP CONSTRAINT refunds_succeeded_check,
  ADD CONSTRAINT refunds_succeeded_check CHECK (CASE WHEN status IN ('succeeded', 'reversed')
    THEN succeeded_at IS NOT NULL AND invoice_minor IS NOT NULL AND credit_minor IS NOT NULL AND revenue_minor IS NOT NULL AND invoice_minor + credit_minor + revenue_minor = amount_minor
      AND (credit_note_id IS NULL OR NOT owed_again)
    ELSE succeeded_at IS NULL AND invoice_minor IS NULL AND credit_minor IS NULL AND revenue_minor IS NULL AND credit_note_id IS NULL END),
  DROP CONSTRAINT refunds_payout_check,
  ADD CONSTRAINT refunds_payout_check CHECK (mode = 'api' AND payout_reference = '' OR mode = 'manual' AND (status NOT IN ('succeeded', 'reversed') OR payout_reference <> '')),
  ADD CONSTRAINT refunds_reversed_check CHECK (CASE WHEN status = 'reversed'
    THEN mode = 'manual' AND reversed_at IS NOT NULL AND reversal_reason <> '' AND moved_minor IS NOT NULL AND moved_minor <= invoice_minor AND (moved_minor = 0 OR owed_again)
    ELSE reversed_at IS NULL AND reversed_by IS NULL AND reversed_label = '' AND reversal_reason = '' AND moved_minor IS NULL END);
--bun:split
-- As it was, but for what was taken back.
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
      WHERE r.tenant_id = NEW.tenant_id AND r.payment_id = NEW.payment_id AND r.status NOT IN ('failed', 'cancelled', 'reversed')) > taken THEN
    RAISE EXCEPTION 'more than the payment took would be refunded' USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_sum_check', TABLE = 'refunds';
  END IF;
  RETURN NULL;
END $$;
--bun:split
-- As it was, and one edge more. Of a refund that has succeeded nothing changes but that it is taken back.
CREATE OR REPLACE FUNCTION refunds_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (('pending_approval', 'pending'), ('pending_approval', 'failed'), ('pending_approval', 'cancelled'),
    ('pending', 'succeeded'), ('pending', 'failed'), ('pending', 'cancelled'), ('succeeded', 'reversed')) THEN
    RAISE EXCEPTION 'a refund cannot go from % to %', OLD.status, NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_transition';
  END IF;
  IF (OLD.tenant_id, OLD.id, OLD.payment_id, OLD.invoice_id, OLD.account_id, OLD.amount_minor, OLD.currency, OLD.mode, OLD.reason, OLD.note, OLD.overrides_window, OLD.by_one, OLD.owed_again,
      OLD.requested_by, OLD.requested_label, OLD.created_at)
    IS DISTINCT FROM (NEW.tenant_id, NEW.id, NEW.payment_id, NEW.invoice_id, NEW.account_id, NEW.amount_minor, NEW.currency, NEW.mode, NEW.reason, NEW.note, NEW.overrides_window, NEW.by_one, NEW.owed_again,
      NEW.requested_by, NEW.requested_label, NEW.created_at)
    OR OLD.payout_reference <> '' AND NEW.payout_reference <> OLD.payout_reference
    OR OLD.status IN ('succeeded', 'failed', 'cancelled', 'reversed') AND NOT (OLD.status = 'succeeded' AND NEW.status = 'reversed'
      AND (OLD.payout_reference, OLD.provider_reference, OLD.failure_code, OLD.failure_reason, OLD.invoice_minor, OLD.credit_minor, OLD.revenue_minor, OLD.credit_note_id, OLD.approved_at, OLD.succeeded_at)
        IS NOT DISTINCT FROM (NEW.payout_reference, NEW.provider_reference, NEW.failure_code, NEW.failure_reason, NEW.invoice_minor, NEW.credit_minor, NEW.revenue_minor, NEW.credit_note_id, NEW.approved_at, NEW.succeeded_at))
  THEN
    RAISE EXCEPTION 'what was asked for, and what has come to an end, stays as it is' USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_immutable';
  END IF;
  RETURN NEW;
END $$;
--bun:split
-- As it was, and one way back: a payment counts less refunded, when its refunds say so because one was taken back. The
-- condition in the trigger stays, so whatever takes an edge of the diagram does not come here.
CREATE OR REPLACE FUNCTION payments_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_ARGV[0] = 'transition' THEN
    IF (OLD.status, NEW.status) IN (('refunded', 'partially_refunded'), ('refunded', 'succeeded'), ('partially_refunded', 'succeeded')) AND NEW.refunded_minor < OLD.refunded_minor
      AND (NEW.status = 'succeeded') = (NEW.refunded_minor = 0)
      AND NEW.refunded_minor = (SELECT coalesce(sum(r.amount_minor), 0) FROM refunds r WHERE r.tenant_id = NEW.tenant_id AND r.payment_id = NEW.id AND r.status = 'succeeded') THEN
      RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a payment cannot go from % to %', OLD.status, NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_transition';
  END IF;
  RAISE EXCEPTION 'what was claimed, and what was decided, cannot be changed' USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_immutable';
END $$;
