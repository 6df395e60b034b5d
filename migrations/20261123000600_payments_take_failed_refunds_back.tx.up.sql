-- A refund that the provider had accepted may fail later, and is taken back like one that somebody has booked by mistake.
ALTER TABLE payment_anomalies DROP CONSTRAINT payment_anomalies_kind_check;
--bun:split
ALTER TABLE payment_anomalies ADD CONSTRAINT payment_anomalies_kind_check CHECK (kind IN ('late', 'failed_after_success', 'paid_after_end', 'wrong_amount', 'wrong_currency', 'other_reference',
  'refunded_elsewhere', 'refund_failed', 'illegal_transition', 'unanswered'));
--bun:split
ALTER TABLE refunds DROP CONSTRAINT refunds_reversed_check,
  ADD CONSTRAINT refunds_reversed_check CHECK (CASE WHEN status = 'reversed'
    THEN reversed_at IS NOT NULL AND reversal_reason <> '' AND moved_minor IS NOT NULL AND moved_minor <= invoice_minor AND (moved_minor = 0 OR owed_again)
    ELSE reversed_at IS NULL AND reversed_by IS NULL AND reversed_label = '' AND reversal_reason = '' AND moved_minor IS NULL END);
