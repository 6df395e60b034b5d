DROP TABLE invoice_adjustments;
--bun:split
DROP FUNCTION invoice_adjustments_guard();
--bun:split
DROP TRIGGER invoices_transition ON invoices;
--bun:split
CREATE TRIGGER invoices_transition BEFORE UPDATE ON invoices FOR EACH ROW WHEN (OLD.status <> NEW.status
  AND NOT OLD.status || ' ' || NEW.status = ANY (ARRAY[
    'draft open', 'draft paid', 'draft void', 'open partially_paid', 'open paid', 'open void', 'open uncollectible',
    'partially_paid paid', 'partially_paid open', 'partially_paid uncollectible', 'paid partially_paid', 'paid open',
    'uncollectible partially_paid', 'uncollectible paid']))
  EXECUTE FUNCTION invoices_guard('transition');
--bun:split
ALTER TABLE invoices
  DROP CONSTRAINT invoices_paid_at_check,
  DROP CONSTRAINT invoices_amounts_fit_status,
  ADD CONSTRAINT invoices_amounts_fit_status CHECK (CASE status
    WHEN 'draft' THEN paid_minor = 0 AND finalized_at IS NULL
    WHEN 'open' THEN paid_minor = 0 AND balance_minor > 0 AND finalized_at IS NOT NULL
    WHEN 'partially_paid' THEN paid_minor > 0 AND balance_minor > 0 AND finalized_at IS NOT NULL
    WHEN 'paid' THEN balance_minor = 0 AND finalized_at IS NOT NULL AND paid_at IS NOT NULL
    WHEN 'void' THEN paid_minor = 0 AND voided_at IS NOT NULL AND pending_claims = 0
    ELSE true END),
  DROP CONSTRAINT invoices_balance_check,
  ADD CONSTRAINT invoices_balance_check CHECK (balance_minor = CASE WHEN status = 'void' THEN 0 ELSE total_minor - paid_minor - credited_minor END),
  DROP COLUMN reopened,
  DROP COLUMN written_off_minor,
  DROP COLUMN credit_applied_minor;
