DROP TABLE reference_sightings;
--bun:split
DROP TABLE payment_evidence;
--bun:split
DROP TABLE payments;
--bun:split
DROP FUNCTION payments_guard();
