DROP INDEX idempotency_keys_subject_idx;
--bun:split
ALTER TABLE idempotency_keys DROP COLUMN subject_id;
