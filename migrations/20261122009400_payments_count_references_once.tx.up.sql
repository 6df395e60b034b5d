-- The reference of a receipt or a cheque counts once without an invoice, too (C-08): for one customer, or for nobody who is
-- known. Settling changes none of the columns.
CREATE UNIQUE INDEX payments_own_reference_key ON payments (tenant_id, method, live_reference, account_id) NULLS NOT DISTINCT
  WHERE invoice_id IS NULL AND live_reference IS NOT NULL;
