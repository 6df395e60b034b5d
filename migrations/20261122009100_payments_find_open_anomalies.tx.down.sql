ALTER TABLE payment_anomalies DROP CONSTRAINT payment_anomalies_resolved_check;
--bun:split
DROP INDEX payment_anomalies_open_idx;
