-- As before, in one look where all is well. Transactions of one statement got their ids one after the other, so they lie together
-- in their index and are read from the first to the last, joined without a loop that would look for each, whatever the number of
-- lines that the session's plan was made for. Accounts lie anywhere, and each is looked up by its key. When a number is not what it
-- should be, such as with a conversion, whose transaction has lines in two currencies, it is looked at check by check.
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
