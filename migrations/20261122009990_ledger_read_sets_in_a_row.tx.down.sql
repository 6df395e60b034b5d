CREATE OR REPLACE FUNCTION ledger_move(tenant uuid, ids uuid[], sums bigint[]) RETURNS integer LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  moved integer;
BEGIN
  UPDATE ledger_balances AS b SET amount_minor = b.amount_minor + r.amount_minor, updated_at = now()
  FROM unnest(ids, sums) AS r(id, amount_minor) WHERE b.tenant_id = tenant AND b.ledger_account_id = r.id;
  GET DIAGNOSTICS moved = ROW_COUNT;
  RETURN moved;
END $$;
--bun:split
CREATE OR REPLACE FUNCTION ledger_open(tenant uuid, ids uuid[], codes text[], owners text[], currencies text[], classes text[], customers uuid[], cached boolean[]) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  kept constant uuid[] := ARRAY(SELECT r.id FROM unnest(ids, cached) AS r(id, cached) WHERE r.cached);
  own  constant uuid[] := ARRAY(SELECT r.id FROM unnest(ids, cached) AS r(id, cached) WHERE NOT r.cached);
BEGIN
  IF (SELECT count(*) FROM ledger_balances AS b WHERE b.tenant_id = tenant AND b.ledger_account_id = ANY (kept)) = cardinality(kept)
    AND (SELECT count(*) FROM ledger_accounts AS k WHERE k.tenant_id = tenant AND k.id = ANY (own)) = cardinality(own) THEN
    RETURN;
  END IF;
  INSERT INTO ledger_accounts (tenant_id, id, code, owner, currency, class, customer_id)
  SELECT tenant, r.id, r.code, r.owner, r.currency, r.class, nullif(r.customer_id, '00000000-0000-0000-0000-000000000000')
  FROM unnest(ids, codes, owners, currencies, classes, customers) AS r(id, code, owner, currency, class, customer_id)
  WHERE NOT EXISTS (SELECT FROM ledger_accounts AS k WHERE k.tenant_id = tenant AND k.id = r.id) ORDER BY r.id ON CONFLICT DO NOTHING;
  INSERT INTO ledger_balances (tenant_id, ledger_account_id, customer_id, code)
  SELECT tenant, r.id, r.customer_id, r.code FROM unnest(ids, codes, customers, cached) AS r(id, code, customer_id, cached)
  WHERE r.cached AND NOT EXISTS (SELECT FROM ledger_balances AS b WHERE b.tenant_id = tenant AND b.ledger_account_id = r.id) ORDER BY r.id ON CONFLICT DO NOTHING;
END $$;
