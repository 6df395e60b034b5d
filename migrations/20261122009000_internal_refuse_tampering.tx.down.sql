DROP TRIGGER idempotency_keys_guard ON idempotency_keys;
--bun:split
DROP FUNCTION idempotency_keys_guard();
--bun:split
DROP TRIGGER settlement_queue_unchanged ON settlement_queue;
--bun:split
GRANT INSERT ON settlement_queue TO countersign_app;
--bun:split
GRANT EXECUTE ON FUNCTION payments_queue() TO PUBLIC;
--bun:split
ALTER FUNCTION payments_queue() SECURITY INVOKER RESET search_path RESET enable_seqscan;
--bun:split
DROP TRIGGER payments_guard ON payments;
--bun:split
CREATE TRIGGER payments_guard BEFORE UPDATE ON payments FOR EACH ROW WHEN (
  (OLD.tenant_id, OLD.id, OLD.account_id, OLD.invoice_id, OLD.method, OLD.gateway, OLD.amount_minor, OLD.currency, OLD.reference, OLD.submitted_by, OLD.created_at)
    IS DISTINCT FROM (NEW.tenant_id, NEW.id, NEW.account_id, NEW.invoice_id, NEW.method, NEW.gateway, NEW.amount_minor, NEW.currency, NEW.reference, NEW.submitted_by, NEW.created_at)
  OR OLD.received_minor IS NOT NULL AND NEW.received_minor IS DISTINCT FROM OLD.received_minor AND OLD.status <> 'pending_approval')
  EXECUTE FUNCTION payments_guard('');
--bun:split
DROP TRIGGER decisions_guard ON decisions;
--bun:split
DROP FUNCTION decisions_guard();
