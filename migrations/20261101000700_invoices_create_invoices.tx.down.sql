DROP TABLE line_items;
--bun:split
DROP FUNCTION line_items_guard();
--bun:split
DROP TABLE invoices;
--bun:split
DROP FUNCTION invoices_guard();
