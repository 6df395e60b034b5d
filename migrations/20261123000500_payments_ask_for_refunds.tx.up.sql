-- When a refund's provider was first asked for it, and what it had given back of the payment until then: refunds made in its cabinet are
-- not ours. Refunds that are under way may have been asked for: of those, nothing is known but what was booked.
ALTER TABLE refunds
  ADD COLUMN asked_at    timestamptz,
  ADD COLUMN asked_minor amount_minor, -- null: it was not asked for, or the provider did not say
  ADD CONSTRAINT refunds_asked_check CHECK (asked_minor IS NULL OR asked_at IS NOT NULL AND mode = 'api');
--bun:split
-- The owner of the tables may be subject to their policies, which know no tenant here.
ALTER TABLE payments NO FORCE ROW LEVEL SECURITY;
--bun:split
ALTER TABLE refunds NO FORCE ROW LEVEL SECURITY;
--bun:split
UPDATE refunds AS r SET asked_at = r.created_at, asked_minor = p.refunded_minor FROM payments AS p
WHERE p.tenant_id = r.tenant_id AND p.id = r.payment_id AND r.status = 'pending' AND r.mode = 'api';
--bun:split
ALTER TABLE payments FORCE ROW LEVEL SECURITY;
--bun:split
ALTER TABLE refunds FORCE ROW LEVEL SECURITY;
--bun:split
-- As it was, and what the provider said before it was asked is not said again.
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
    OR (OLD.asked_at IS NOT NULL OR NEW.asked_at IS NOT NULL AND OLD.status <> 'pending') AND (OLD.asked_at, OLD.asked_minor) IS DISTINCT FROM (NEW.asked_at, NEW.asked_minor)
    OR OLD.status IN ('succeeded', 'failed', 'cancelled', 'reversed') AND NOT (OLD.status = 'succeeded' AND NEW.status = 'reversed'
      AND (OLD.payout_reference, OLD.provider_reference, OLD.failure_code, OLD.failure_reason, OLD.invoice_minor, OLD.credit_minor, OLD.revenue_minor, OLD.credit_note_id, OLD.approved_at, OLD.succeeded_at)
        IS NOT DISTINCT FROM (NEW.payout_reference, NEW.provider_reference, NEW.failure_code, NEW.failure_reason, NEW.invoice_minor, NEW.credit_minor, NEW.revenue_minor, NEW.credit_note_id, NEW.approved_at, NEW.succeeded_at))
  THEN
    RAISE EXCEPTION 'what was asked for, and what has come to an end, stays as it is' USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_immutable';
  END IF;
  RETURN NEW;
END $$;
