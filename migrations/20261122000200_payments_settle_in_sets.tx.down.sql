ALTER TABLE events DROP COLUMN also, DROP COLUMN audit_id, ALTER COLUMN payload TYPE jsonb USING payload::jsonb;
--bun:split
DROP TRIGGER invoices_guard ON invoices;
--bun:split
DROP TRIGGER invoices_transition ON invoices;
--bun:split
CREATE OR REPLACE FUNCTION invoices_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status <> NEW.status AND NOT (OLD.status, NEW.status) IN (
    ('draft', 'open'), ('draft', 'paid'), ('draft', 'void'), ('open', 'partially_paid'), ('open', 'paid'), ('open', 'void'),
    ('open', 'uncollectible'), ('partially_paid', 'paid'), ('partially_paid', 'open'), ('partially_paid', 'uncollectible'),
    ('paid', 'partially_paid'), ('paid', 'open'), ('uncollectible', 'partially_paid'), ('uncollectible', 'paid')) THEN
    RAISE EXCEPTION 'an invoice cannot go from % to %', OLD.status, NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'invoices_transition';
  END IF;
  IF OLD.status <> 'draft' AND (OLD.account_id, OLD.number, OLD.currency, OLD.invoice_date, OLD.due_date, OLD.subtotal_minor, OLD.discount_minor, OLD.tax_minor, OLD.credits)
     IS DISTINCT FROM (NEW.account_id, NEW.number, NEW.currency, NEW.invoice_date, NEW.due_date, NEW.subtotal_minor, NEW.discount_minor, NEW.tax_minor, NEW.credits) THEN
    RAISE EXCEPTION 'a finalised invoice cannot be changed: void it or credit it' USING ERRCODE = 'check_violation', CONSTRAINT = 'invoices_immutable';
  END IF;
  RETURN NEW;
END $$;
--bun:split
CREATE TRIGGER invoices_guard BEFORE UPDATE ON invoices FOR EACH ROW EXECUTE FUNCTION invoices_guard();
--bun:split
DROP TRIGGER payments_guard ON payments;
--bun:split
DROP TRIGGER payments_transition ON payments;
--bun:split
CREATE OR REPLACE FUNCTION payments_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status <> NEW.status AND NOT (OLD.status, NEW.status) IN (
    ('created', 'pending'), ('created', 'pending_approval'), ('created', 'processing'), ('created', 'authorized'), ('created', 'succeeded'), ('created', 'failed'), ('created', 'cancelled'), ('created', 'expired'),
    ('pending', 'processing'), ('pending', 'authorized'), ('pending', 'succeeded'), ('pending', 'failed'), ('pending', 'cancelled'), ('pending', 'expired'),
    ('pending_approval', 'processing'), ('pending_approval', 'failed'), ('pending_approval', 'cancelled'), ('pending_approval', 'expired'),
    ('processing', 'succeeded'), ('processing', 'authorized'), ('processing', 'failed'), ('processing', 'pending_approval'),
    ('authorized', 'succeeded'), ('authorized', 'cancelled'), ('authorized', 'failed'), ('authorized', 'expired'),
    ('succeeded', 'partially_refunded'), ('succeeded', 'refunded'), ('partially_refunded', 'refunded'))
    AND NOT (OLD.status IN ('failed', 'cancelled', 'expired') AND NEW.status = 'succeeded' AND NEW.reconciliation_status = 'matched') THEN
    RAISE EXCEPTION 'a payment cannot go from % to %', OLD.status, NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_transition';
  END IF;
  IF (OLD.account_id, OLD.invoice_id, OLD.method, OLD.gateway, OLD.amount_minor, OLD.currency, OLD.reference, OLD.submitted_by, OLD.created_at)
     IS DISTINCT FROM (NEW.account_id, NEW.invoice_id, NEW.method, NEW.gateway, NEW.amount_minor, NEW.currency, NEW.reference, NEW.submitted_by, NEW.created_at) THEN
    RAISE EXCEPTION 'what was claimed cannot be changed' USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_immutable';
  END IF;
  IF OLD.received_minor IS NOT NULL AND NEW.received_minor IS DISTINCT FROM OLD.received_minor AND OLD.status <> 'pending_approval' THEN
    RAISE EXCEPTION 'the received amount is part of the decision and cannot be changed' USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_immutable';
  END IF;
  RETURN NEW;
END $$;
--bun:split
CREATE TRIGGER payments_guard BEFORE UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION payments_guard();
--bun:split
DROP TRIGGER payments_queue_update ON payments;
--bun:split
DROP TRIGGER payments_queue_insert ON payments;
--bun:split
DROP FUNCTION payments_queue();
--bun:split
DROP TABLE settlement_queue;
--bun:split
DROP INDEX payments_set_aside_idx;
--bun:split
DROP INDEX payments_in_flight_idx;
--bun:split
DROP INDEX payments_undecided_idx;
--bun:split
CREATE INDEX payments_waiting_idx ON payments (tenant_id, status, id) WHERE status IN ('pending_approval', 'processing');
--bun:split
DROP INDEX payments_reference_key;
--bun:split
CREATE UNIQUE INDEX payments_reference_key ON payments (tenant_id, invoice_id, method, reference_norm)
  WHERE status IN ('created', 'pending', 'pending_approval', 'processing', 'authorized') AND reference_norm <> '';
--bun:split
ALTER TABLE payments SET (fillfactor = 80);
ALTER TABLE invoices SET (fillfactor = 80);
--bun:split
ALTER TABLE payments DROP COLUMN live_reference, DROP COLUMN in_flight, DROP COLUMN undecided;
