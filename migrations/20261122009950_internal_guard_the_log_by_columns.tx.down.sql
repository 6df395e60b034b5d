DROP TRIGGER audit_log_contents ON audit_log;
--bun:split
DROP TRIGGER audit_log_guard ON audit_log;
--bun:split
CREATE TRIGGER audit_log_guard BEFORE UPDATE ON audit_log FOR EACH ROW WHEN (OLD.chain_seq IS NOT NULL OR NEW.chain_seq IS NULL
  OR (OLD.tenant_id, OLD.id, OLD.created_at, OLD.actor_kind, OLD.actor_id, OLD.actor_label, OLD.action, OLD.object_type, OLD.object_id, OLD.account_id,
      OLD.before, OLD.after, OLD.reason, OLD.request_id, OLD.ip, OLD.user_agent)
   IS DISTINCT FROM
     (NEW.tenant_id, NEW.id, NEW.created_at, NEW.actor_kind, NEW.actor_id, NEW.actor_label, NEW.action, NEW.object_type, NEW.object_id, NEW.account_id,
      NEW.before, NEW.after, NEW.reason, NEW.request_id, NEW.ip, NEW.user_agent))
  EXECUTE FUNCTION audit_log_guard();
