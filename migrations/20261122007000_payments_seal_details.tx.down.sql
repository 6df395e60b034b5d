DROP FUNCTION instant_or_null;
--bun:split
DROP INDEX payments_gateway_idx;
--bun:split
DROP TABLE payment_terms;
--bun:split
ALTER TABLE payments DROP COLUMN sensitive;
