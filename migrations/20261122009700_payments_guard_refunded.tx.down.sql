DROP TRIGGER payments_refunded_update ON payments;
--bun:split
DROP TRIGGER payments_refunded_insert ON payments;
--bun:split
DROP FUNCTION payments_refunded();
