-- As before, with one statement for all records that are sealed at once: only the hashes are computed one after the other.
CREATE OR REPLACE FUNCTION audit_seal(batch integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  tenant constant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
  r      record;
  seq    bigint;
  hash   bytea;
  ids    uuid[] := '{}';
  hashes bytea[] := '{}';
BEGIN
  INSERT INTO audit_heads (tenant_id, chain_seq, chain_hash) VALUES (tenant, 0, '') ON CONFLICT DO NOTHING;
  SELECT chain_seq, chain_hash INTO seq, hash FROM audit_heads WHERE tenant_id = tenant FOR UPDATE;
  FOR r IN SELECT l.id, convert_to(audit_content(l), 'UTF8') AS content FROM (SELECT u.id FROM audit_unsealed u WHERE u.tenant_id = tenant ORDER BY u.id LIMIT batch) u
           JOIN audit_log l ON l.tenant_id = tenant AND l.id = u.id ORDER BY l.id LOOP
    hash := sha256(hash || r.content);
    ids := ids || r.id;
    hashes := hashes || hash;
  END LOOP;
  UPDATE audit_log AS l SET chain_seq = seq + s.place, chain_hash = s.hash
  FROM unnest(ids, hashes) WITH ORDINALITY AS s(id, hash, place) WHERE l.tenant_id = tenant AND l.id = s.id;
  DELETE FROM audit_unsealed WHERE tenant_id = tenant AND id = ANY (ids);
  UPDATE audit_heads SET chain_seq = seq + cardinality(ids), chain_hash = hash WHERE tenant_id = tenant;
  RETURN cardinality(ids);
END $$;
--bun:split
DROP TRIGGER audit_log_guard ON audit_log;
--bun:split
-- Sealing, once, is the only change that a row of the log allows, whoever asks. The condition stands in the trigger, where
-- PostgreSQL evaluates it by itself: the function is only called to refuse.
CREATE OR REPLACE FUNCTION audit_log_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit_log is append-only: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END $$;
--bun:split
CREATE TRIGGER audit_log_guard BEFORE UPDATE ON audit_log FOR EACH ROW WHEN (OLD.chain_seq IS NOT NULL OR NEW.chain_seq IS NULL
  OR (OLD.tenant_id, OLD.id, OLD.created_at, OLD.actor_kind, OLD.actor_id, OLD.actor_label, OLD.action, OLD.object_type, OLD.object_id, OLD.account_id,
      OLD.before, OLD.after, OLD.reason, OLD.request_id, OLD.ip, OLD.user_agent)
   IS DISTINCT FROM
     (NEW.tenant_id, NEW.id, NEW.created_at, NEW.actor_kind, NEW.actor_id, NEW.actor_label, NEW.action, NEW.object_type, NEW.object_id, NEW.account_id,
      NEW.before, NEW.after, NEW.reason, NEW.request_id, NEW.ip, NEW.user_agent))
  EXECUTE FUNCTION audit_log_guard();
--bun:split
CREATE TRIGGER audit_log_keep BEFORE DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_guard();
