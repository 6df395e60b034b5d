-- Whoever writes entries moves balances, because the database does it: what the trigger checks and what is moved are the same accounts,
-- and they are looked at once. A balance knows its currency, so an account that has one need not be asked for it.
ALTER TABLE ledger_balances ADD COLUMN currency text;
--bun:split
-- The owner of the tables may be subject to their policies, which know no tenant here.
ALTER TABLE ledger_accounts NO FORCE ROW LEVEL SECURITY;
--bun:split
ALTER TABLE ledger_balances NO FORCE ROW LEVEL SECURITY;
--bun:split
-- A balance that has drifted is the nightly proof's business, and must not stop the update.
ALTER TABLE ledger_balances DISABLE TRIGGER ledger_balances_guard;
--bun:split
UPDATE ledger_balances AS b SET currency = a.currency FROM ledger_accounts AS a WHERE a.tenant_id = b.tenant_id AND a.id = b.ledger_account_id;
--bun:split
ALTER TABLE ledger_balances ENABLE TRIGGER ledger_balances_guard;
--bun:split
ALTER TABLE ledger_accounts ADD CONSTRAINT ledger_accounts_currency_key UNIQUE (tenant_id, id, currency);
--bun:split
ALTER TABLE ledger_balances ALTER COLUMN currency SET NOT NULL;
--bun:split
ALTER TABLE ledger_balances DROP CONSTRAINT ledger_balances_account_fk, ADD CONSTRAINT ledger_balances_account_fk FOREIGN KEY (tenant_id, ledger_account_id, currency) REFERENCES ledger_accounts (tenant_id, id, currency) ON DELETE RESTRICT;
--bun:split
ALTER TABLE ledger_accounts FORCE ROW LEVEL SECURITY;
--bun:split
ALTER TABLE ledger_balances FORCE ROW LEVEL SECURITY;
--bun:split
-- Moves the balances of accounts that are named once each, in the order of ids, and gives how many of the accounts there are: a customer's
-- has a balance, and only the others are looked up. The limit takes nothing away: behind one the planner expects a single row, and looks each
-- balance up by its key. It used to read all balances of the tenant for each set when the table was small as it planned.
CREATE FUNCTION ledger_move(tenant uuid, ids uuid[], currencies text[], sums bigint[]) RETURNS bigint LANGUAGE plpgsql
SET enable_nestloop = on SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  found bigint;
BEGIN
  WITH r AS MATERIALIZED (SELECT unnest(ids) AS id, unnest(currencies) AS currency, unnest(sums) AS amount_minor LIMIT cardinality(ids)),
  moved AS (
    UPDATE ledger_balances AS b SET amount_minor = b.amount_minor + r.amount_minor, updated_at = now()
    FROM r WHERE b.tenant_id = tenant AND b.ledger_account_id = r.id AND b.currency = r.currency RETURNING r.id, r.currency),
  others AS MATERIALIZED (SELECT r.id, r.currency FROM r EXCEPT SELECT m.id, m.currency FROM moved AS m)
  SELECT (SELECT count(*) FROM moved) +
    (SELECT count(*) FROM others AS o WHERE (SELECT a.currency = o.currency AND a.customer_id IS NULL FROM ledger_accounts AS a WHERE a.tenant_id = tenant AND a.id = o.id))
  INTO found;
  RETURN found;
END $$;
--bun:split
REVOKE ALL ON FUNCTION ledger_move(uuid, uuid[], text[], bigint[]) FROM PUBLIC;
--bun:split
GRANT EXECUTE ON FUNCTION ledger_move(uuid, uuid[], text[], bigint[]) TO countersign_app;
--bun:split
-- As before, and what is sound is moved.
CREATE OR REPLACE FUNCTION ledger_entries_balance() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET enable_nestloop = off AS $$
DECLARE
  own        uuid := (SELECT tenant_id FROM added LIMIT 1);
  tenants    uuid[] := ARRAY[own];
  accounts   uuid[];
  currencies text[];
  sums       bigint[];
  bad        uuid;
BEGIN
  IF own IS NULL THEN
    RETURN NULL;
  END IF;
  IF (WITH a AS MATERIALIZED (SELECT transaction_id, tenant_id, count(*) AS n, max(line) AS last, sum(amount_minor) AS total FROM added GROUP BY transaction_id, tenant_id, currency)
    SELECT (SELECT count(*) FROM a) <>
      (SELECT count(*) FROM a JOIN ledger_transactions t ON t.id = a.transaction_id AND t.lines = a.n AND t.lines = a.last
       WHERE a.tenant_id = own AND a.total = 0 AND t.tenant_id = own
         AND t.id BETWEEN (SELECT transaction_id FROM a ORDER BY 1 LIMIT 1) AND (SELECT transaction_id FROM a ORDER BY 1 DESC LIMIT 1))) THEN
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
    tenants := ARRAY(SELECT DISTINCT tenant_id FROM added ORDER BY tenant_id);
  END IF;
  FOREACH own IN ARRAY tenants LOOP
    SELECT array_agg(e.id), array_agg(e.currency), array_agg(e.total) INTO accounts, currencies, sums
    FROM (SELECT ledger_account_id AS id, currency, sum(amount_minor)::bigint AS total FROM added WHERE tenant_id = own GROUP BY ledger_account_id, currency ORDER BY 1, 2) e;
    CONTINUE WHEN ledger_move(own, accounts, currencies, sums) = cardinality(accounts);
    SELECT e.id INTO bad FROM (SELECT unnest(accounts) AS id, unnest(currencies) AS currency) e
    WHERE (SELECT a.currency = e.currency FROM ledger_accounts a WHERE a.tenant_id = own AND a.id = e.id) IS NOT TRUE LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'ledger account % is unknown or has another currency than its entry', bad USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entries_account';
    END IF;
    RAISE EXCEPTION 'a customer''s account among those of the entries has lost its balance' USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entries_balance_lost';
  END LOOP;
  RETURN NULL;
END $$;
--bun:split
-- Programs of the version before, which still run while this one starts, move balances themselves: for them it is done already.
CREATE OR REPLACE FUNCTION ledger_move(tenant uuid, ids uuid[], sums bigint[]) RETURNS integer LANGUAGE sql AS 'SELECT coalesce(cardinality(ids), 0)';
--bun:split
-- As before, with each account looked up by its key whatever the planner believes, and with the currencies of balances.
CREATE FUNCTION ledger_open(tenant uuid, ids uuid[], codes text[], owners text[], currencies text[], classes text[], customers uuid[]) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  nobody constant uuid := '00000000-0000-0000-0000-000000000000';
BEGIN
  IF (SELECT count(*) FROM (SELECT unnest(ids) AS id, unnest(customers) AS customer) AS r WHERE CASE WHEN r.customer = nobody
    THEN (SELECT true FROM ledger_accounts AS a WHERE a.tenant_id = tenant AND a.id = r.id)
    ELSE (SELECT true FROM ledger_balances AS b WHERE b.tenant_id = tenant AND b.ledger_account_id = r.id) END) = cardinality(ids) THEN
    RETURN;
  END IF;
  INSERT INTO ledger_accounts (tenant_id, id, code, owner, currency, class, customer_id)
  SELECT tenant, r.id, r.code, r.owner, r.currency, r.class, nullif(r.customer_id, nobody)
  FROM (SELECT unnest(ids) AS id, unnest(codes) AS code, unnest(owners) AS owner, unnest(currencies) AS currency, unnest(classes) AS class, unnest(customers) AS customer_id) AS r
  ORDER BY r.id ON CONFLICT DO NOTHING;
  INSERT INTO ledger_balances (tenant_id, ledger_account_id, customer_id, code, currency)
  SELECT tenant, r.id, r.customer_id, r.code, r.currency
  FROM (SELECT unnest(ids) AS id, unnest(codes) AS code, unnest(customers) AS customer_id, unnest(currencies) AS currency) AS r
  WHERE r.customer_id <> nobody ORDER BY r.id ON CONFLICT DO NOTHING;
END $$;
--bun:split
REVOKE ALL ON FUNCTION ledger_open(uuid, uuid[], text[], text[], text[], text[], uuid[]) FROM PUBLIC;
--bun:split
GRANT EXECUTE ON FUNCTION ledger_open(uuid, uuid[], text[], text[], text[], text[], uuid[]) TO countersign_app;
--bun:split
-- For programs of the version before.
CREATE OR REPLACE FUNCTION ledger_open(tenant uuid, ids uuid[], codes text[], owners text[], currencies text[], classes text[], customers uuid[], cached boolean[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM ledger_open(tenant, ids, codes, owners, currencies, classes, customers);
END $$;
