DROP TABLE idempotency_keys;
--bun:split
DROP TABLE outbox;
--bun:split
DROP TABLE events;
--bun:split
DROP FUNCTION audit_seal(integer);
--bun:split
DROP FUNCTION audit_content(audit_log);
--bun:split
DROP TABLE audit_heads;
--bun:split
DROP TABLE audit_unsealed;
--bun:split
DROP TABLE audit_log;
--bun:split
DROP FUNCTION audit_log_guard();
--bun:split
DROP DOMAIN idempotency_key;
--bun:split
DROP DOMAIN actor_kind;
