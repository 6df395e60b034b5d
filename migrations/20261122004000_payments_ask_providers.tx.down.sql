DROP TABLE payment_anomalies;
--bun:split
DROP TABLE payment_orders;
--bun:split
DROP INDEX payments_receipt_number_key;
--bun:split
ALTER TABLE payments
  DROP CONSTRAINT payments_account_check,
  DROP CONSTRAINT payments_settled_check,
  DROP COLUMN receipt_number,
  DROP COLUMN prepayment,
  DROP COLUMN revenue_minor,
  ALTER COLUMN account_id SET NOT NULL;
--bun:split
ALTER TABLE payments ADD CONSTRAINT payments_settled_check CHECK (applied_minor IS NULL OR applied_minor + excess_minor = coalesce(received_minor, amount_minor));
--bun:split
ALTER DOMAIN payment_gateway DROP CONSTRAINT payment_gateway_check;
--bun:split
ALTER DOMAIN payment_gateway ADD CONSTRAINT payment_gateway_check CHECK (VALUE IN ('stripe', 'click', 'payme', 'octo', 'cash', 'integrator', 'paypal', 'manual', 'voucher',
  'bkash', 'nagad', 'rocket', 'dbbl', 'sslcommerz'));
