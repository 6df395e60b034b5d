DROP INDEX payments_rare_status_idx;
--bun:split
ALTER TABLE payments DROP COLUMN rare_status;
