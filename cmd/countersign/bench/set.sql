\set base random(1, :payments)
WITH picked AS (SELECT DISTINCT ((:base + g * 7919) % :payments) + 1 AS id FROM generate_series(1, 500) g),
paid AS (UPDATE floor.payments p SET status = 3, settled_at = now() FROM (SELECT l.id FROM floor.payments l JOIN picked USING (id) ORDER BY l.id FOR UPDATE) k WHERE p.id = k.id
  RETURNING p.id, p.tenant_id, p.account_id, p.invoice_id, p.amount),
posted AS (INSERT INTO floor.transactions (tenant_id, payment_id) SELECT tenant_id, id FROM paid RETURNING id, payment_id),
lines AS (INSERT INTO floor.entries (tenant_id, transaction_id, account_id, amount)
  SELECT paid.tenant_id, posted.id, v.account, v.amount FROM paid JOIN posted ON posted.payment_id = paid.id, LATERAL (VALUES (paid.account_id, paid.amount), (9000000::bigint, -paid.amount)) v(account, amount)),
billed AS (UPDATE floor.invoices i SET status = 2, amount_paid = i.amount_paid + paid.amount, updated_at = now() FROM paid WHERE i.id = paid.invoice_id),
told AS (INSERT INTO floor.outbox (tenant_id, topic, payload) SELECT tenant_id, 'payment.settled', jsonb_build_object('payment_id', id, 'amount', amount) FROM paid)
UPDATE floor.balances b SET balance = b.balance + s.amount, version = b.version + 1, updated_at = now()
FROM (SELECT l.account_id, g.amount FROM floor.balances l JOIN (SELECT account_id, sum(amount) AS amount FROM paid GROUP BY 1) g USING (account_id) ORDER BY l.account_id FOR UPDATE OF l) s WHERE b.account_id = s.account_id;
