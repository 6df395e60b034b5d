DROP TRIGGER audit_log_keep ON audit_log;
--bun:split
DROP TRIGGER audit_log_guard ON audit_log;
--bun:split
CREATE OR REPLACE FUNCTION audit_log_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.chain_seq IS NULL AND NEW.chain_seq IS NOT NULL
     AND (OLD.tenant_id, OLD.id, OLD.created_at, OLD.actor_kind, OLD.actor_id, OLD.actor_label, OLD.action, OLD.object_type, OLD.object_id, OLD.account_id,
          OLD.before, OLD.after, OLD.reason, OLD.request_id, OLD.ip, OLD.user_agent)
       IS NOT DISTINCT FROM
         (NEW.tenant_id, NEW.id, NEW.created_at, NEW.actor_kind, NEW.actor_id, NEW.actor_label, NEW.action, NEW.object_type, NEW.object_id, NEW.account_id,
          NEW.before, NEW.after, NEW.reason, NEW.request_id, NEW.ip, NEW.user_agent) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'audit_log is append-only: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END $$;
--bun:split
CREATE TRIGGER audit_log_guard BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_guard();
--bun:split
CREATE OR REPLACE FUNCTION audit_seal(batch integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  tenant constant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
  r      audit_log;
  seq    bigint;
  hash   bytea;
  sealed integer := 0;
BEGIN
  INSERT INTO audit_heads (tenant_id, chain_seq, chain_hash) VALUES (tenant, 0, '') ON CONFLICT DO NOTHING;
  SELECT chain_seq, chain_hash INTO seq, hash FROM audit_heads WHERE tenant_id = tenant FOR UPDATE;
  FOR r IN SELECT l.* FROM (SELECT u.id FROM audit_unsealed u WHERE u.tenant_id = tenant ORDER BY u.id LIMIT batch) u
           JOIN audit_log l ON l.tenant_id = tenant AND l.id = u.id ORDER BY l.id LOOP
    seq := seq + 1;
    hash := sha256(hash || convert_to(audit_content(r), 'UTF8'));
    UPDATE audit_log SET chain_seq = seq, chain_hash = hash WHERE tenant_id = tenant AND id = r.id;
    DELETE FROM audit_unsealed WHERE tenant_id = tenant AND id = r.id;
    sealed := sealed + 1;
  END LOOP;
  UPDATE audit_heads SET chain_seq = seq, chain_hash = hash WHERE tenant_id = tenant;
  RETURN sealed;
END $$;
