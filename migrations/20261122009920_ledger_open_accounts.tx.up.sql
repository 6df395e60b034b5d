-- Opens the accounts of a posting that are not there: lines of the chart, and balances for those that are cached. Nearly
-- always all are there, which two looks at the keys tell. What is missing is made by id, so two who make the same do not wait
-- for each other: one waits for the other.
CREATE FUNCTION ledger_open(tenant uuid, ids uuid[], codes text[], owners text[], currencies text[], classes text[], customers uuid[], cached boolean[]) RETURNS void LANGUAGE plpgsql
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
--bun:split
REVOKE ALL ON FUNCTION ledger_open(uuid, uuid[], text[], text[], text[], text[], uuid[], boolean[]) FROM PUBLIC;
--bun:split
GRANT EXECUTE ON FUNCTION ledger_open(uuid, uuid[], text[], text[], text[], text[], uuid[], boolean[]) TO countersign_app;
--bun:split
-- Hardly any transaction corrects another. A foreign key asks for each row that is written; this one asks for those that
-- do, and holds as long, because transactions are neither changed nor deleted.
ALTER TABLE ledger_transactions DROP CONSTRAINT ledger_transactions_corrects_fk;
--bun:split
CREATE FUNCTION ledger_transactions_corrects() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM ledger_transactions AS t WHERE t.tenant_id = NEW.tenant_id AND t.id = NEW.corrects) THEN
    RAISE EXCEPTION 'ledger transaction % corrects one that does not exist (ledger_transactions_corrects_fk)', NEW.id USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'ledger_transactions_corrects_fk', TABLE = 'ledger_transactions';
  END IF;
  RETURN NULL;
END $$;
--bun:split
CREATE TRIGGER ledger_transactions_corrects AFTER INSERT ON ledger_transactions FOR EACH ROW WHEN (NEW.corrects IS NOT NULL) EXECUTE FUNCTION ledger_transactions_corrects();
