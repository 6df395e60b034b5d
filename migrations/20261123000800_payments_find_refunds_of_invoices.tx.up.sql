-- The refunds of an invoice, the newest first: without it all refunds of the tenant were read.
CREATE INDEX refunds_invoice_idx ON refunds (tenant_id, invoice_id, created_at DESC, id DESC) WHERE invoice_id IS NOT NULL;
