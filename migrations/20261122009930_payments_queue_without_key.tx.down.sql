DROP TRIGGER payments_stay ON payments;
--bun:split
ALTER TABLE settlement_queue ADD CONSTRAINT settlement_queue_payment_fk FOREIGN KEY (tenant_id, payment_id) REFERENCES payments ON DELETE RESTRICT;
