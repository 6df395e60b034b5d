-- Nobody has answered for two days whether money has moved.
ALTER TABLE payment_anomalies DROP CONSTRAINT payment_anomalies_kind_check;
--bun:split
ALTER TABLE payment_anomalies ADD CONSTRAINT payment_anomalies_kind_check CHECK (kind IN ('late', 'failed_after_success', 'paid_after_end', 'wrong_amount', 'wrong_currency', 'other_reference',
  'refunded_elsewhere', 'illegal_transition', 'unanswered'));
--bun:split
-- What a provider was or is to be asked for may be money, and is never hidden.
CREATE FUNCTION payments_keep_ordered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM payment_orders o WHERE o.tenant_id = NEW.tenant_id AND o.payment_id = NEW.id) THEN
    RAISE EXCEPTION 'a payment that a provider is asked for cannot be deleted' USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_ordered';
  END IF;
  RETURN NEW;
END $$;
--bun:split
CREATE TRIGGER payments_keep_ordered BEFORE UPDATE ON payments FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION payments_keep_ordered();
--bun:split
-- Charges, holds and cash that is on its way are claims of their invoices, as what customers say they have paid always was.
-- The owner of the tables may be subject to their policies, which know no tenant here.
ALTER TABLE payments NO FORCE ROW LEVEL SECURITY;
--bun:split
ALTER TABLE payment_orders NO FORCE ROW LEVEL SECURITY;
--bun:split
ALTER TABLE invoices NO FORCE ROW LEVEL SECURITY;
--bun:split
UPDATE invoices AS i SET pending_claims = p.n, clock_paused_at = coalesce(i.clock_paused_at, now()), version = i.version + 1, updated_at = now()
FROM (SELECT tenant_id, invoice_id, count(*) AS n FROM payments
  WHERE invoice_id IS NOT NULL AND status IN ('created', 'pending', 'pending_approval', 'processing', 'authorized') AND deleted_at IS NULL GROUP BY tenant_id, invoice_id) AS p
WHERE i.tenant_id = p.tenant_id AND i.id = p.invoice_id AND i.status <> 'void' AND i.pending_claims <> p.n;
--bun:split
-- What nobody was to be asked for any more has to come to an end too.
UPDATE payment_orders AS o SET next_ask_at = now() FROM payments AS p
WHERE p.tenant_id = o.tenant_id AND p.id = o.payment_id AND o.next_ask_at IS NULL AND p.status IN ('created', 'pending', 'processing', 'authorized') AND p.deleted_at IS NULL;
--bun:split
ALTER TABLE payments FORCE ROW LEVEL SECURITY;
--bun:split
ALTER TABLE payment_orders FORCE ROW LEVEL SECURITY;
--bun:split
ALTER TABLE invoices FORCE ROW LEVEL SECURITY;
