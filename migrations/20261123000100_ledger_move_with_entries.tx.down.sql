-- Stop the programs first: those that remember their accounts would write entries and move no balance.
DROP FUNCTION ledger_move(uuid, uuid[], text[], bigint[]);
--bun:split
DROP FUNCTION ledger_open(uuid, uuid[], text[], text[], text[], text[], uuid[]);
--bun:split
CREATE OR REPLACE FUNCTION ledger_entries_balance() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET enable_nestloop = off AS $$
DECLARE
  own   constant uuid := (SELECT tenant_id FROM added LIMIT 1);
  sound boolean;
  bad   uuid;
BEGIN
  WITH a AS MATERIALIZED (SELECT transaction_id, tenant_id, count(*) AS n, max(line) AS last, sum(amount_minor) AS total FROM added GROUP BY transaction_id, tenant_id, currency),
       e AS MATERIALIZED (SELECT DISTINCT ledger_account_id, tenant_id, currency FROM added)
  SELECT (SELECT count(*) FROM a) =
    (SELECT count(*) FROM a JOIN ledger_transactions t ON t.id = a.transaction_id AND t.lines = a.n AND t.lines = a.last
     WHERE a.tenant_id = own AND a.total = 0 AND t.tenant_id = own
       AND t.id BETWEEN (SELECT transaction_id FROM a ORDER BY 1 LIMIT 1) AND (SELECT transaction_id FROM a ORDER BY 1 DESC LIMIT 1))
    AND NOT EXISTS (SELECT FROM e WHERE (SELECT k.currency = e.currency FROM ledger_accounts k WHERE k.tenant_id = e.tenant_id AND k.id = e.ledger_account_id) IS NOT TRUE)
  INTO sound;
  IF sound THEN
    RETURN NULL;
  END IF;
  SELECT transaction_id INTO bad FROM added GROUP BY tenant_id, transaction_id, currency HAVING sum(amount_minor) <> 0 LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'ledger transaction % does not balance', bad USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entries_balance';
  END IF;
  SELECT a.transaction_id INTO bad
  FROM (SELECT tenant_id, transaction_id, count(*) AS n, max(line) AS last FROM added GROUP BY tenant_id, transaction_id) a
  WHERE (SELECT t.lines = a.n AND t.lines = a.last FROM ledger_transactions t WHERE t.tenant_id = a.tenant_id AND t.id = a.transaction_id) IS NOT TRUE LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'ledger transaction % is unknown or not all of its lines are here', bad USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entries_complete';
  END IF;
  SELECT e.ledger_account_id INTO bad
  FROM (SELECT DISTINCT ledger_account_id, tenant_id, currency FROM added) e
  WHERE (SELECT a.currency = e.currency FROM ledger_accounts a WHERE a.tenant_id = e.tenant_id AND a.id = e.ledger_account_id) IS NOT TRUE LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'ledger account % is unknown or has another currency than its entry', bad USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entries_account';
  END IF;
  RETURN NULL;
END $$;
--bun:split
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
--bun:split
ALTER TABLE ledger_balances DROP CONSTRAINT ledger_balances_account_fk, DROP COLUMN currency;
--bun:split
ALTER TABLE ledger_accounts DROP CONSTRAINT ledger_accounts_currency_key;
--bun:split
ALTER TABLE ledger_balances ADD CONSTRAINT ledger_balances_account_fk FOREIGN KEY (tenant_id, ledger_account_id) REFERENCES ledger_accounts ON DELETE RESTRICT;
