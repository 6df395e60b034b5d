-- As before, with rows that are made where they are read: FROM unnest(…, …) puts each column away in a store of its own first.
CREATE OR REPLACE FUNCTION ledger_move(tenant uuid, ids uuid[], sums bigint[]) RETURNS integer LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  moved integer;
BEGIN
  UPDATE ledger_balances AS b SET amount_minor = b.amount_minor + r.amount_minor, updated_at = now()
  FROM (SELECT unnest(ids) AS id, unnest(sums) AS amount_minor) AS r WHERE b.tenant_id = tenant AND b.ledger_account_id = r.id;
  GET DIAGNOSTICS moved = ROW_COUNT;
  RETURN moved;
END $$;
--bun:split
-- What is missing is made without looking which of them it is: that is seldom, and two who make the same wait for each other as before.
CREATE OR REPLACE FUNCTION ledger_open(tenant uuid, ids uuid[], codes text[], owners text[], currencies text[], classes text[], customers uuid[], cached boolean[]) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  kept constant uuid[] := ARRAY(SELECT r.id FROM (SELECT unnest(ids) AS id, unnest(cached) AS cached) AS r WHERE r.cached);
  own  constant uuid[] := ARRAY(SELECT r.id FROM (SELECT unnest(ids) AS id, unnest(cached) AS cached) AS r WHERE NOT r.cached);
BEGIN
  IF (SELECT count(*) FROM ledger_balances AS b WHERE b.tenant_id = tenant AND b.ledger_account_id = ANY (kept)) = cardinality(kept)
    AND (SELECT count(*) FROM ledger_accounts AS k WHERE k.tenant_id = tenant AND k.id = ANY (own)) = cardinality(own) THEN
    RETURN;
  END IF;
  INSERT INTO ledger_accounts (tenant_id, id, code, owner, currency, class, customer_id)
  SELECT tenant, r.id, r.code, r.owner, r.currency, r.class, nullif(r.customer_id, '00000000-0000-0000-0000-000000000000')
  FROM (SELECT unnest(ids) AS id, unnest(codes) AS code, unnest(owners) AS owner, unnest(currencies) AS currency, unnest(classes) AS class, unnest(customers) AS customer_id) AS r
  ORDER BY r.id ON CONFLICT DO NOTHING;
  INSERT INTO ledger_balances (tenant_id, ledger_account_id, customer_id, code)
  SELECT tenant, r.id, r.customer_id, r.code
  FROM (SELECT unnest(ids) AS id, unnest(codes) AS code, unnest(customers) AS customer_id, unnest(cached) AS cached) AS r
  WHERE r.cached ORDER BY r.id ON CONFLICT DO NOTHING;
END $$;
