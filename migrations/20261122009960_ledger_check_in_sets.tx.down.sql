-- As before, in one pass where all is well: lines of one currency that are all of their transaction's lines are complete
-- and in one currency, and only have to sum to zero. What does not look like that, such as a conversion, is looked at
-- check by check.
CREATE OR REPLACE FUNCTION ledger_entries_balance() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  bad uuid;
BEGIN
  PERFORM FROM (SELECT tenant_id, transaction_id, currency, count(*) AS n, max(line) AS last, sum(amount_minor) AS total FROM added GROUP BY transaction_id, tenant_id, currency) a
  WHERE a.total <> 0
    OR (SELECT t.lines = a.n AND t.lines = a.last FROM ledger_transactions t WHERE t.tenant_id = a.tenant_id AND t.id = a.transaction_id) IS NOT TRUE LIMIT 1;
  IF FOUND THEN
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
  END IF;
  SELECT e.ledger_account_id INTO bad
  FROM (SELECT DISTINCT ledger_account_id, tenant_id, currency FROM added) e
  WHERE (SELECT a.currency = e.currency FROM ledger_accounts a WHERE a.tenant_id = e.tenant_id AND a.id = e.ledger_account_id) IS NOT TRUE LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'ledger account % is unknown or has another currency than its entry', bad USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entries_account';
  END IF;
  RETURN NULL;
END $$;
