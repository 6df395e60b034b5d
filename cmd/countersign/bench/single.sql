\set p random(1, :payments)
\set a 1 + mod(:p, :accounts)
BEGIN;
UPDATE floor.payments SET status = 3, settled_at = now() WHERE id = :p;
INSERT INTO floor.transactions (tenant_id, payment_id) VALUES (md5('1')::uuid, :p);
INSERT INTO floor.entries (tenant_id, transaction_id, account_id, amount) VALUES (md5('1')::uuid, currval('floor.transactions_id_seq'), :a, 500), (md5('1')::uuid, currval('floor.transactions_id_seq'), 9000000, -500);
UPDATE floor.invoices SET status = 2, amount_paid = amount_due, updated_at = now() WHERE id = :p;
INSERT INTO floor.outbox (tenant_id, topic, payload) VALUES (md5('1')::uuid, 'payment.settled', jsonb_build_object('payment_id', :p::bigint, 'amount', 500));
UPDATE floor.balances SET balance = balance + 500, version = version + 1, updated_at = now() WHERE account_id = :a;
COMMIT;
