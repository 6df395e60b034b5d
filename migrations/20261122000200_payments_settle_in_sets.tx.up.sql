-- What settlement changes about a payment is in no index, so that PostgreSQL writes one new row on the same page and
-- nothing else. What the indexes ask for are columns that only other changes touch.
ALTER TABLE payments
  ADD COLUMN undecided      boolean GENERATED ALWAYS AS (status = 'pending_approval') STORED,
  ADD COLUMN in_flight      boolean GENERATED ALWAYS AS (status = 'processing' AND approved_at IS NULL) STORED, -- at the provider: what became of it is not known yet
  -- The reference while it counts: a claim that failed, was withdrawn or expired may be made again (C-08).
  ADD COLUMN live_reference text COLLATE "C" GENERATED ALWAYS AS (CASE WHEN reference_norm <> '' AND status NOT IN ('failed', 'cancelled', 'expired') THEN reference_norm END) STORED;
--bun:split
DROP INDEX payments_reference_key;
--bun:split
CREATE UNIQUE INDEX payments_reference_key ON payments (tenant_id, invoice_id, method, live_reference) WHERE live_reference IS NOT NULL;
--bun:split
DROP INDEX payments_waiting_idx;
--bun:split
CREATE INDEX payments_undecided_idx ON payments (tenant_id, id) WHERE undecided;
--bun:split
CREATE INDEX payments_in_flight_idx ON payments (tenant_id, id) WHERE in_flight;
--bun:split
CREATE INDEX payments_set_aside_idx ON payments (tenant_id, id) WHERE set_aside <> '';
--bun:split
-- A set changes neighbours: each page needs room for a second version of all of its rows.
ALTER TABLE payments SET (fillfactor = 50);
ALTER TABLE invoices SET (fillfactor = 50);
--bun:split
-- What is approved and not settled, with all that the settlement needs to know. The worker takes its row away in the
-- commit of the settlement; whoever else changes an approved payment takes the row first.
CREATE TABLE settlement_queue (
  tenant_id      uuid NOT NULL,
  payment_id     uuid NOT NULL,
  account_id     uuid NOT NULL,
  invoice_id     uuid NOT NULL,
  method         payment_method NOT NULL,
  amount_minor   positive_minor NOT NULL, -- as claimed
  received_minor positive_minor NOT NULL,
  currency       currency_code NOT NULL,
  approved_at    timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, payment_id),
  CONSTRAINT settlement_queue_payment_fk FOREIGN KEY (tenant_id, payment_id) REFERENCES payments ON DELETE RESTRICT
);
--bun:split
SELECT secure_table('settlement_queue', 'account_id', 'SELECT, INSERT, DELETE');
--bun:split
GRANT UPDATE (approved_at) ON settlement_queue TO countersign_app; -- to lock rows, which asks for it
--bun:split
SELECT observe('settlement_queue', 'tenant_id, approved_at');
--bun:split
GRANT SELECT (undecided, in_flight) ON payments TO countersign_observer;
--bun:split
-- What is approved waits for the worker, whoever approves it.
CREATE FUNCTION payments_queue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.status = 'processing' AND NEW.set_aside = '' THEN
    INSERT INTO settlement_queue (tenant_id, payment_id, account_id, invoice_id, method, amount_minor, received_minor, currency, approved_at)
    VALUES (NEW.tenant_id, NEW.id, NEW.account_id, NEW.invoice_id, NEW.method, NEW.amount_minor, coalesce(NEW.received_minor, NEW.amount_minor), NEW.currency, NEW.approved_at);
  ELSE
    DELETE FROM settlement_queue WHERE tenant_id = NEW.tenant_id AND payment_id = NEW.id;
  END IF;
  RETURN NULL;
END $$;
--bun:split
CREATE TRIGGER payments_queue_insert AFTER INSERT ON payments FOR EACH ROW
  WHEN (NEW.status = 'processing' AND NEW.approved_at IS NOT NULL AND NEW.set_aside = '') EXECUTE FUNCTION payments_queue();
--bun:split
-- Not when a payment becomes succeeded: that is the worker, who has taken the row.
CREATE TRIGGER payments_queue_update AFTER UPDATE ON payments FOR EACH ROW
  WHEN (NEW.approved_at IS NOT NULL AND NEW.status <> 'succeeded' AND (OLD.status = 'processing' AND OLD.set_aside = '') <> (NEW.status = 'processing' AND NEW.set_aside = ''))
  EXECUTE FUNCTION payments_queue();
--bun:split
-- The owner of the tables may be subject to their policies, which know no tenant here.
ALTER TABLE payments NO FORCE ROW LEVEL SECURITY;
--bun:split
ALTER TABLE settlement_queue NO FORCE ROW LEVEL SECURITY;
--bun:split
INSERT INTO settlement_queue (tenant_id, payment_id, account_id, invoice_id, method, amount_minor, received_minor, currency, approved_at)
SELECT tenant_id, id, account_id, invoice_id, method, amount_minor, coalesce(received_minor, amount_minor), currency, coalesce(approved_at, updated_at) FROM payments
WHERE status = 'processing' AND set_aside = '' AND invoice_id IS NOT NULL;
--bun:split
ALTER TABLE payments FORCE ROW LEVEL SECURITY;
--bun:split
ALTER TABLE settlement_queue FORCE ROW LEVEL SECURITY;
--bun:split
DROP TRIGGER payments_guard ON payments;
--bun:split
CREATE OR REPLACE FUNCTION payments_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_ARGV[0] = 'transition' THEN
    RAISE EXCEPTION 'a payment cannot go from % to %', OLD.status, NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_transition';
  END IF;
  RAISE EXCEPTION 'what was claimed, and what was decided, cannot be changed' USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_immutable';
END $$;
--bun:split
-- The edges of the state diagram (model.md 5.3), as the program has them too; a test compares. failed, cancelled and
-- expired come back only with the reconciler's mark (C-10). The condition stands in the trigger, where PostgreSQL evaluates
-- it by itself: the function is only called to refuse.
CREATE TRIGGER payments_transition BEFORE UPDATE ON payments FOR EACH ROW WHEN (OLD.status <> NEW.status
  AND NOT OLD.status || ' ' || NEW.status = ANY (ARRAY[
    'created pending', 'created pending_approval', 'created processing', 'created authorized', 'created succeeded', 'created failed', 'created cancelled', 'created expired',
    'pending processing', 'pending authorized', 'pending succeeded', 'pending failed', 'pending cancelled', 'pending expired',
    'pending_approval processing', 'pending_approval failed', 'pending_approval cancelled', 'pending_approval expired',
    'processing succeeded', 'processing authorized', 'processing failed', 'processing pending_approval',
    'authorized succeeded', 'authorized cancelled', 'authorized failed', 'authorized expired',
    'succeeded partially_refunded', 'succeeded refunded', 'partially_refunded refunded'])
  AND NOT (OLD.status IN ('failed', 'cancelled', 'expired') AND NEW.status = 'succeeded' AND NEW.reconciliation_status = 'matched'))
  EXECUTE FUNCTION payments_guard('transition');
--bun:split
CREATE TRIGGER payments_guard BEFORE UPDATE ON payments FOR EACH ROW WHEN (
  (OLD.tenant_id, OLD.id, OLD.account_id, OLD.invoice_id, OLD.method, OLD.gateway, OLD.amount_minor, OLD.currency, OLD.reference, OLD.submitted_by, OLD.created_at)
    IS DISTINCT FROM (NEW.tenant_id, NEW.id, NEW.account_id, NEW.invoice_id, NEW.method, NEW.gateway, NEW.amount_minor, NEW.currency, NEW.reference, NEW.submitted_by, NEW.created_at)
  OR OLD.received_minor IS NOT NULL AND NEW.received_minor IS DISTINCT FROM OLD.received_minor AND OLD.status <> 'pending_approval')
  EXECUTE FUNCTION payments_guard('');
--bun:split
DROP TRIGGER invoices_guard ON invoices;
--bun:split
CREATE OR REPLACE FUNCTION invoices_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_ARGV[0] = 'transition' THEN
    RAISE EXCEPTION 'an invoice cannot go from % to %', OLD.status, NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'invoices_transition';
  END IF;
  RAISE EXCEPTION 'a finalised invoice cannot be changed: void it or credit it' USING ERRCODE = 'check_violation', CONSTRAINT = 'invoices_immutable';
END $$;
--bun:split
CREATE TRIGGER invoices_transition BEFORE UPDATE ON invoices FOR EACH ROW WHEN (OLD.status <> NEW.status
  AND NOT OLD.status || ' ' || NEW.status = ANY (ARRAY[
    'draft open', 'draft paid', 'draft void', 'open partially_paid', 'open paid', 'open void', 'open uncollectible',
    'partially_paid paid', 'partially_paid open', 'partially_paid uncollectible', 'paid partially_paid', 'paid open',
    'uncollectible partially_paid', 'uncollectible paid']))
  EXECUTE FUNCTION invoices_guard('transition');
--bun:split
CREATE TRIGGER invoices_guard BEFORE UPDATE ON invoices FOR EACH ROW WHEN (OLD.status <> 'draft'
  AND (OLD.tenant_id, OLD.id, OLD.account_id, OLD.number, OLD.currency, OLD.invoice_date, OLD.due_date, OLD.subtotal_minor, OLD.discount_minor, OLD.tax_minor, OLD.credits)
    IS DISTINCT FROM (NEW.tenant_id, NEW.id, NEW.account_id, NEW.number, NEW.currency, NEW.invoice_date, NEW.due_date, NEW.subtotal_minor, NEW.discount_minor, NEW.tax_minor, NEW.credits))
  EXECUTE FUNCTION invoices_guard('');
--bun:split
-- An event may go by a second name, such as payment.updated for every change of a payment, and says which record of the
-- audit log tells who did it. One record may tell of many changes: a settlement's set is one act.
ALTER TABLE events
  ADD COLUMN also     text NOT NULL DEFAULT '',
  ADD COLUMN audit_id uuid,
  ALTER COLUMN payload TYPE text; -- JSON that is never searched, only told again
--bun:split
-- The records of sets are long, and are packed when they are written.
DO $$ BEGIN
  ALTER TABLE audit_log ALTER COLUMN after SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN NULL; -- this server was built without
END $$;
