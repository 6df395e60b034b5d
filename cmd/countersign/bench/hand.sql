-- What settling a thousand payments is, written by hand for the program's own tables: one statement and one round trip,
-- everything computed here, with the same rows, locks and guards as the worker's. It takes payments that pay their
-- invoices exactly, each invoice once, and fails when it finds anything else. The tenant is set for the whole session.
WITH taken AS MATERIALIZED (
  DELETE FROM settlement_queue WHERE tenant_id = :tenant::uuid AND ctid = ANY (ARRAY(
    SELECT q.ctid FROM settlement_queue q WHERE q.tenant_id = :tenant::uuid ORDER BY q.payment_id LIMIT 1000 FOR UPDATE SKIP LOCKED))
  RETURNING payment_id, account_id, invoice_id, method, currency, amount_minor, received_minor
), owed AS MATERIALIZED (
  SELECT t.*, i.number, i.version, i.total_minor, i.paid_minor, i.pending_claims, i.clock_paused_at, i.clock_paused_for, r.id AS receivable, c.id AS clearing
  FROM taken t
  JOIN invoices i ON i.tenant_id = :tenant::uuid AND i.id = t.invoice_id
  JOIN ledger_accounts r ON r.tenant_id = :tenant::uuid AND r.code = 'receivable' AND r.owner = t.account_id::text AND r.currency = t.currency
  JOIN ledger_accounts c ON c.tenant_id = :tenant::uuid AND c.code = 'clearing' AND c.owner = t.method AND c.currency = t.currency
  WHERE i.status IN ('open', 'partially_paid') AND i.currency = t.currency AND i.balance_minor = t.received_minor AND i.pending_claims = 1
  ORDER BY i.id
), made AS MATERIALIZED ( -- ids in the order of time, as the program makes them
  SELECT lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') AS at, (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
    || '70008' || right(replace(gen_random_uuid()::text, '-', ''), 15))::uuid AS record
), share AS MATERIALIZED (
  SELECT l.*, m.record, (m.at || '7' || l.n || '8' || l.dice)::uuid AS first_id, (m.at || '7' || l.n || '9' || l.dice)::uuid AS second_id
  FROM (SELECT k.*, lpad(to_hex(row_number() OVER ()), 3, '0') AS n, right(replace(gen_random_uuid()::text, '-', ''), 15) AS dice FROM owed k) l, made m
), finished AS (
  UPDATE payments AS p SET status = 'succeeded', applied_minor = s.received_minor, excess_minor = 0, processed_at = clock_timestamp(), updated_at = clock_timestamp(), version = p.version + 1
  FROM share s WHERE p.tenant_id = :tenant::uuid AND p.id = s.payment_id AND p.status = 'processing' RETURNING 1
), paid AS (
  UPDATE invoices AS i SET paid_minor = s.paid_minor + s.received_minor, balance_minor = 0, status = 'paid', paid_at = now(), pending_claims = 0, clock_paused_at = NULL,
    clock_paused_for = s.clock_paused_for + greatest(0, (extract(epoch FROM now() - s.clock_paused_at) * 1000000000)::bigint), version = i.version + 1, updated_at = now()
  FROM share s WHERE i.tenant_id = :tenant::uuid AND i.id = s.invoice_id AND i.version = s.version RETURNING 1
), posted AS (
  INSERT INTO ledger_transactions (tenant_id, id, cause, kind, lines, customer_id, invoice_id, payment_id, posted_by)
  SELECT :tenant::uuid, s.first_id, 'payment:' || s.payment_id || ':' || 'settle', 'payment_settled', 2, s.account_id, s.invoice_id, s.payment_id, 'settled by hand' FROM share s
), entered AS (
  INSERT INTO ledger_entries (tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency)
  SELECT :tenant::uuid, s.first_id, e.line, e.account, e.amount, s.currency
  FROM share s, LATERAL (VALUES (1::smallint, s.clearing, s.received_minor::bigint), (2::smallint, s.receivable, -s.received_minor::bigint)) AS e(line, account, amount) RETURNING 1
), told_of_invoices AS (
  INSERT INTO events (tenant_id, id, type, also, object_type, object_id, account_id, payload, actor, request_id, audit_id)
  SELECT :tenant::uuid, s.first_id, 'invoice.paid', '', 'invoice', s.invoice_id, s.account_id, format(
    '{"invoice_id":"%s","account_id":"%s","invoice_number":"%s","status":"paid","currency":"%s","total_amount_minor":%s,"paid_amount_minor":%s,"credit_applied_amount_minor":0,"credited_amount_minor":0,"written_off_amount_minor":0,"balance_amount_minor":0}',
    s.invoice_id, s.account_id, s.number, s.currency, s.total_minor, s.paid_minor + s.received_minor), 'settled by hand', '', s.record FROM share s
), told_of_payments AS (
  INSERT INTO events (tenant_id, id, type, also, object_type, object_id, account_id, payload, actor, request_id, audit_id)
  SELECT :tenant::uuid, s.second_id, 'payment.succeeded', 'payment.updated', 'payment', s.payment_id, s.account_id, format(
    '{"payment_id":"%1$s","invoice_id":"%2$s","account_id":"%3$s","payment_method":"%4$s","status":"succeeded","amount_minor":%5$s,"received_minor":%6$s,"applied_minor":%6$s,"excess_minor":0,"currency":"%7$s",'
    '"before":{"status":"processing"},"after":{"status":"succeeded","currency":"%7$s","applied_minor":%6$s,"excess_minor":0}}',
    s.payment_id, s.invoice_id, s.account_id, s.method, s.amount_minor, s.received_minor, s.currency), 'settled by hand', '', s.record FROM share s
), queued AS (
  INSERT INTO audit_unsealed (tenant_id, id) SELECT :tenant::uuid, record FROM made
), recorded AS (
  INSERT INTO audit_log (tenant_id, id, actor_kind, actor_label, action, object_type, object_id, before, after)
  SELECT :tenant::uuid, m.record, 'system', 'settled by hand', 'payment.settle', 'settlement', m.record, '{"status":"processing"}', ('{"status":"succeeded","columns":"payment_id invoice_status currency applied_minor excess_minor","payments":[' || (
    SELECT string_agg(format('"%s paid %s %s 0"', s.payment_id, s.currency, s.received_minor), ',' ORDER BY s.payment_id)
    FROM share s) || ']}')::jsonb FROM made m
)
SELECT 1 / (1000 = ALL (ARRAY[(SELECT count(*) FROM taken), (SELECT count(*) FROM finished), (SELECT count(*) FROM paid), (SELECT count(*) FROM entered) / 2]))::int;
