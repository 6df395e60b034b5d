ALTER TABLE account_payment_methods DROP COLUMN sensitive;
