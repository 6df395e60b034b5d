-- Takes approved payments from the queue: by id, beginning after the last one that the writer has taken, of the accounts
-- of his shard. The rows are kept from everybody else until the transaction ends, and what others keep is skipped.
-- Neither plan is the planner's to choose, because one that was made while little waited serves until it looks again: the
-- search is a walk along the key that ends with the last row wanted, and what it finds is taken away by its place.
CREATE FUNCTION settlement_take(tenant uuid, places tid[]) RETURNS SETOF settlement_queue LANGUAGE plpgsql
SET enable_indexscan = off SET enable_bitmapscan = off SET enable_seqscan = off AS $$
BEGIN
  RETURN QUERY DELETE FROM settlement_queue AS q WHERE q.tenant_id = tenant AND q.ctid = ANY (places) RETURNING q.*;
END $$;
--bun:split
CREATE FUNCTION settlement_claim(tenant uuid, after uuid, most integer, shards integer, shard integer) RETURNS SETOF settlement_queue LANGUAGE plpgsql
SET enable_sort = off SET enable_bitmapscan = off SET enable_seqscan = off AS $$
DECLARE
  places tid[];
BEGIN
  places := ARRAY(SELECT q.ctid FROM settlement_queue AS q WHERE q.tenant_id = tenant AND q.payment_id > after
    AND (shards = 1 OR get_byte(uuid_send(q.account_id), 15) % shards = shard) ORDER BY q.payment_id LIMIT most FOR UPDATE SKIP LOCKED);
  RETURN QUERY SELECT * FROM settlement_take(tenant, places);
END $$;
--bun:split
REVOKE ALL ON FUNCTION settlement_take(uuid, tid[]), settlement_claim(uuid, uuid, integer, integer, integer) FROM PUBLIC;
--bun:split
GRANT EXECUTE ON FUNCTION settlement_take(uuid, tid[]), settlement_claim(uuid, uuid, integer, integer, integer) TO countersign_app;
