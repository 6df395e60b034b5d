-- A key may be committed before its answer is known: somebody outside is asked in between (C-20). Who brings the operation
-- to its end, perhaps not who began it, finds the key by what it is about.
ALTER TABLE idempotency_keys ADD COLUMN subject_id uuid;
--bun:split
CREATE INDEX idempotency_keys_subject_idx ON idempotency_keys (tenant_id, subject_id) WHERE subject_id IS NOT NULL AND answer IS NULL;
