-- What lowers an invoice besides payments: the customer's credit, credit notes (credited_minor) and what was given up.
ALTER TABLE invoices
  ADD COLUMN credit_applied_minor amount_minor NOT NULL DEFAULT 0,
  ADD COLUMN written_off_minor    amount_minor NOT NULL DEFAULT 0,
  ADD COLUMN reopened             integer NOT NULL DEFAULT 0 CHECK (reopened >= 0), -- how often it was paid and then no longer
  DROP CONSTRAINT invoices_balance_check,
  ADD CONSTRAINT invoices_balance_check CHECK (balance_minor =
    CASE WHEN status = 'void' THEN 0 ELSE total_minor - paid_minor - credited_minor - credit_applied_minor - written_off_minor END),
  DROP CONSTRAINT invoices_amounts_fit_status,
  ADD CONSTRAINT invoices_amounts_fit_status CHECK (CASE status
    WHEN 'draft' THEN paid_minor + credited_minor + credit_applied_minor + written_off_minor = 0 AND finalized_at IS NULL
    WHEN 'open' THEN paid_minor + credit_applied_minor = 0 AND balance_minor > 0 AND finalized_at IS NOT NULL
    WHEN 'partially_paid' THEN paid_minor + credit_applied_minor > 0 AND balance_minor > 0 AND finalized_at IS NOT NULL
    WHEN 'paid' THEN balance_minor = 0 AND finalized_at IS NOT NULL
    WHEN 'void' THEN paid_minor + credited_minor + credit_applied_minor + written_off_minor = 0 AND voided_at IS NOT NULL AND pending_claims = 0
    ELSE finalized_at IS NOT NULL END),
  -- while there is a time of payment the service credits are granted, so it goes when the invoice is paid no longer
  ADD CONSTRAINT invoices_paid_at_check CHECK ((paid_at IS NOT NULL) = (status = 'paid'));
--bun:split
-- As it was, and one way more: an invoice that was given up can be opened again.
DROP TRIGGER invoices_transition ON invoices;
--bun:split
CREATE TRIGGER invoices_transition BEFORE UPDATE ON invoices FOR EACH ROW WHEN (OLD.status <> NEW.status
  AND NOT OLD.status || ' ' || NEW.status = ANY (ARRAY[
    'draft open', 'draft paid', 'draft void', 'open partially_paid', 'open paid', 'open void', 'open uncollectible',
    'partially_paid paid', 'partially_paid open', 'partially_paid uncollectible', 'paid partially_paid', 'paid open',
    'uncollectible open', 'uncollectible partially_paid', 'uncollectible paid']))
  EXECUTE FUNCTION invoices_guard('transition');
--bun:split
-- What lowered an invoice, one row each, and what took it back: a row with the opposite amount that points at the first.
-- The columns of the invoice are sums of these rows.
CREATE TABLE invoice_adjustments (
  tenant_id      uuid NOT NULL,
  id             uuid NOT NULL, -- a write-off's or credit note's own id
  invoice_id     uuid NOT NULL,
  account_id     uuid NOT NULL,
  kind           text NOT NULL CONSTRAINT invoice_adjustments_kind_check CHECK (kind IN ('credit_applied', 'credit_note', 'written_off')),
  amount_minor   bigint NOT NULL CONSTRAINT invoice_adjustments_amount_check CHECK (amount_minor <> 0 AND (amount_minor < 0) = (reverses IS NOT NULL)),
  currency       currency_code NOT NULL,
  reason         text NOT NULL DEFAULT '',
  reverses       uuid, -- the row that this one takes back
  reversed_minor bigint GENERATED ALWAYS AS (CASE WHEN reverses IS NOT NULL THEN -amount_minor END) STORED,
  made_by        text NOT NULL,
  created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT invoice_adjustments_whole_key UNIQUE (tenant_id, id, invoice_id, kind, amount_minor),
  CONSTRAINT invoice_adjustments_reverses_key UNIQUE (tenant_id, reverses), -- nothing is taken back twice
  CONSTRAINT invoice_adjustments_invoice_fk FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices ON DELETE RESTRICT,
  -- it is taken back whole, on the same invoice; and what takes back has an amount below zero, so it is not taken back itself
  CONSTRAINT invoice_adjustments_reverses_fk FOREIGN KEY (tenant_id, reverses, invoice_id, kind, reversed_minor)
    REFERENCES invoice_adjustments (tenant_id, id, invoice_id, kind, amount_minor) ON DELETE RESTRICT
);
--bun:split
CREATE INDEX invoice_adjustments_invoice_idx ON invoice_adjustments (tenant_id, invoice_id, id);
--bun:split
SELECT secure_table('invoice_adjustments', 'account_id', 'SELECT, INSERT');
--bun:split
CREATE TRIGGER invoice_adjustments_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON invoice_adjustments EXECUTE FUNCTION refuse_change();
--bun:split
CREATE FUNCTION invoice_adjustments_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM invoices i WHERE i.tenant_id = NEW.tenant_id AND i.id = NEW.invoice_id AND i.account_id = NEW.account_id AND i.currency = NEW.currency
     AND i.status NOT IN ('draft', 'void')) THEN
    RAISE EXCEPTION 'only a finalised invoice is adjusted, in its own currency' USING ERRCODE = 'check_violation', CONSTRAINT = 'invoice_adjustments_invoice';
  END IF;
  RETURN NULL;
END $$;
--bun:split
CREATE TRIGGER invoice_adjustments_guard AFTER INSERT ON invoice_adjustments FOR EACH ROW EXECUTE FUNCTION invoice_adjustments_guard();
