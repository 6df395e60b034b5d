-- Takes approved payments from the queue: by id, beginning after the last one that the writer has taken, of the accounts
-- of his shard. The rows are kept from everybody else until the transaction ends, and what others keep is skipped.
-- The plan is a walk along the key that ends with the last row wanted, whatever the planner believes about the
-- condition: one that sorts or collects reads the whole backlog for each set.
CREATE FUNCTION settlement_claim(tenant uuid, after uuid, most integer, shards integer, shard integer) RETURNS SETOF settlement_queue LANGUAGE plpgsql
SET enable_sort = off SET enable_bitmapscan = off SET enable_seqscan = off AS $$
BEGIN
  RETURN QUERY DELETE FROM settlement_queue AS d WHERE d.tenant_id = tenant AND d.payment_id = ANY (ARRAY(
    SELECT q.payment_id FROM settlement_queue AS q WHERE q.tenant_id = tenant AND q.payment_id > after
      AND (shards = 1 OR get_byte(uuid_send(q.account_id), 15) % shards = shard) ORDER BY q.payment_id LIMIT most FOR UPDATE SKIP LOCKED))
    RETURNING d.*;
END $$;
--bun:split
REVOKE ALL ON FUNCTION settlement_claim(uuid, uuid, integer, integer, integer) FROM PUBLIC;
--bun:split
GRANT EXECUTE ON FUNCTION settlement_claim(uuid, uuid, integer, integer, integer) TO countersign_app;
