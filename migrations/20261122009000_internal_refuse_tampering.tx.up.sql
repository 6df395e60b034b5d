-- Four eyes, whoever writes: nobody decides about what he has submitted or asked for himself.
CREATE FUNCTION decisions_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM added d WHERE d.user_id = CASE d.subject_type
      WHEN 'payment' THEN (SELECT p.submitted_by FROM payments p WHERE p.tenant_id = d.tenant_id AND p.id = d.subject_id)
      WHEN 'refund' THEN (SELECT r.requested_by FROM refunds r WHERE r.tenant_id = d.tenant_id AND r.id = d.subject_id)
      WHEN 'write_off' THEN (SELECT w.requested_by FROM write_offs w WHERE w.tenant_id = d.tenant_id AND w.id = d.subject_id) END) THEN
    RAISE EXCEPTION 'nobody decides about what he has asked for himself' USING ERRCODE = 'check_violation', CONSTRAINT = 'decisions_submitter', TABLE = 'decisions';
  END IF;
  RETURN NULL;
END $$;
--bun:split
CREATE TRIGGER decisions_guard AFTER INSERT ON decisions REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION decisions_guard();
--bun:split
-- As it was, and what the settlement has made of a payment stays as well.
DROP TRIGGER payments_guard ON payments;
--bun:split
CREATE TRIGGER payments_guard BEFORE UPDATE ON payments FOR EACH ROW WHEN (
  (OLD.tenant_id, OLD.id, OLD.account_id, OLD.invoice_id, OLD.method, OLD.gateway, OLD.amount_minor, OLD.currency, OLD.reference, OLD.submitted_by, OLD.created_at)
    IS DISTINCT FROM (NEW.tenant_id, NEW.id, NEW.account_id, NEW.invoice_id, NEW.method, NEW.gateway, NEW.amount_minor, NEW.currency, NEW.reference, NEW.submitted_by, NEW.created_at)
  OR OLD.received_minor IS NOT NULL AND NEW.received_minor IS DISTINCT FROM OLD.received_minor AND OLD.status <> 'pending_approval'
  OR OLD.applied_minor IS NOT NULL AND (OLD.applied_minor, OLD.excess_minor, OLD.revenue_minor) IS DISTINCT FROM (NEW.applied_minor, NEW.excess_minor, NEW.revenue_minor))
  EXECUTE FUNCTION payments_guard('');
--bun:split
-- Only an approval puts a payment into the queue: its trigger does it as the owner, and the program itself cannot.
ALTER FUNCTION payments_queue() SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off;
--bun:split
REVOKE ALL ON FUNCTION payments_queue() FROM PUBLIC;
--bun:split
REVOKE INSERT ON settlement_queue FROM countersign_app;
--bun:split
-- The program may lock its rows, for which it needs the right to update a column, and never does.
CREATE TRIGGER settlement_queue_unchanged BEFORE UPDATE ON settlement_queue EXECUTE FUNCTION refuse_change();
--bun:split
-- An answer is given once, and again as it was.
CREATE FUNCTION idempotency_keys_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a key is answered once' USING ERRCODE = 'check_violation', CONSTRAINT = 'idempotency_keys_answered', TABLE = 'idempotency_keys';
END $$;
--bun:split
CREATE TRIGGER idempotency_keys_guard BEFORE UPDATE ON idempotency_keys FOR EACH ROW WHEN (OLD.answer IS NOT NULL) EXECUTE FUNCTION idempotency_keys_guard();
