DROP INDEX idempotency_keys_shared_key;
--bun:split
ALTER TABLE idempotency_keys DROP COLUMN shared;
