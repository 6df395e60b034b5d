DROP INDEX refunds_invoice_idx;
