-- Anomalies of the new kind become what they were before; refunds of a provider that were taken back stay.
ALTER TABLE refunds DROP CONSTRAINT refunds_reversed_check,
  ADD CONSTRAINT refunds_reversed_check CHECK (CASE WHEN status = 'reversed'
    THEN mode = 'manual' AND reversed_at IS NOT NULL AND reversal_reason <> '' AND moved_minor IS NOT NULL AND moved_minor <= invoice_minor AND (moved_minor = 0 OR owed_again)
    ELSE reversed_at IS NULL AND reversed_by IS NULL AND reversed_label = '' AND reversal_reason = '' AND moved_minor IS NULL END) NOT VALID;
--bun:split
ALTER TABLE payment_anomalies DROP CONSTRAINT payment_anomalies_kind_check;
--bun:split
-- The owner of the tables may be subject to their policies, which know no tenant here.
ALTER TABLE payment_anomalies NO FORCE ROW LEVEL SECURITY;
--bun:split
UPDATE payment_anomalies SET kind = 'failed_after_success' WHERE kind = 'refund_failed';
--bun:split
ALTER TABLE payment_anomalies FORCE ROW LEVEL SECURITY;
--bun:split
ALTER TABLE payment_anomalies ADD CONSTRAINT payment_anomalies_kind_check CHECK (kind IN ('late', 'failed_after_success', 'paid_after_end', 'wrong_amount', 'wrong_currency', 'other_reference',
  'refunded_elsewhere', 'illegal_transition', 'unanswered'));
