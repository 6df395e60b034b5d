-- Moves the cached balances of accounts that have one, by id, and says how many it has moved. Everybody locks balances in
-- the order of their ids: each is looked up by its key, in the order in which they are given, because a join by hash
-- would lock them in the order of the table, and two who do would wait for each other.
CREATE FUNCTION ledger_move(tenant uuid, ids uuid[], sums bigint[]) RETURNS integer LANGUAGE plpgsql
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
REVOKE ALL ON FUNCTION ledger_move(uuid, uuid[], bigint[]) FROM PUBLIC;
--bun:split
GRANT EXECUTE ON FUNCTION ledger_move(uuid, uuid[], bigint[]) TO countersign_app;
