-- Payments by a status that few have are found by it (S0D-37). The status itself is in no index: settlement goes from one to
-- another of those that are not here, so that it still writes one new row on the same page and nothing else.
ALTER TABLE payments ADD COLUMN rare_status text
  GENERATED ALWAYS AS (CASE WHEN status NOT IN ('pending_approval', 'processing', 'succeeded') THEN status END) STORED;
--bun:split
CREATE INDEX payments_rare_status_idx ON payments (tenant_id, rare_status, id) WHERE rare_status IS NOT NULL;
