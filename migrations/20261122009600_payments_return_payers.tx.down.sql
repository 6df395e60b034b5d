ALTER TABLE payment_orders DROP COLUMN return_url;
