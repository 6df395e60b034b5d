DROP TABLE reference_sightings;
--bun:split
DROP TABLE payment_evidence;
--bun:split
DROP TABLE payments;
--bun:split
DROP FUNCTION payments_guard();
--bun:split
DROP DOMAIN reconciliation_status;
--bun:split
DROP DOMAIN settlement_status;
--bun:split
DROP DOMAIN payment_gateway;
--bun:split
DROP DOMAIN payment_status;
