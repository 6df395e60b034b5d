-- Where a payer's browser comes back to from his bank. It is kept, because a request that is made again must be the same.
ALTER TABLE payment_orders ADD COLUMN return_url text NOT NULL DEFAULT '';
