DROP TABLE line_items;
--bun:split
DROP FUNCTION line_items_guard();
--bun:split
DROP TABLE invoices;
--bun:split
DROP FUNCTION invoices_guard();
--bun:split
DROP DOMAIN service_credits;
--bun:split
DROP DOMAIN billed_minor;
--bun:split
DROP DOMAIN invoice_status;
