-- What waits for a person is looked for on each page of the console.
CREATE INDEX payment_anomalies_open_idx ON payment_anomalies (tenant_id, id) WHERE resolved_at IS NULL;
--bun:split
-- Who has dealt with one says how, and when.
ALTER TABLE payment_anomalies ADD CONSTRAINT payment_anomalies_resolved_check CHECK ((resolved_at IS NULL) = (note = ''));
