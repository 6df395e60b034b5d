-- The key of a call that moves money is the tenant's and the operation's (S1-47), and not each person's own. The owner stays
-- whoever has used it first: members see the keys of their account alone. Of keys that two people have used before, the
-- earlier one counts.
ALTER TABLE idempotency_keys ADD COLUMN shared boolean NOT NULL DEFAULT FALSE;
--bun:split
-- The owner of the tables may be subject to their policies, which know no tenant here.
ALTER TABLE idempotency_keys NO FORCE ROW LEVEL SECURITY;
--bun:split
-- Their answers stay as they are.
ALTER TABLE idempotency_keys DISABLE TRIGGER idempotency_keys_guard;
--bun:split
UPDATE idempotency_keys AS k SET shared = TRUE
FROM (SELECT DISTINCT ON (tenant_id, scope, key) tenant_id, owner_id, scope, key FROM idempotency_keys
  WHERE scope IN ('payments.charge', 'payments.capture', 'payments.release', 'payments.create', 'payments.refund', 'fx.convert', 'fx.reverse')
  ORDER BY tenant_id, scope, key, created_at) AS f
WHERE k.tenant_id = f.tenant_id AND k.owner_id = f.owner_id AND k.scope = f.scope AND k.key = f.key;
--bun:split
ALTER TABLE idempotency_keys ENABLE TRIGGER idempotency_keys_guard;
--bun:split
ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY;
--bun:split
CREATE UNIQUE INDEX idempotency_keys_shared_key ON idempotency_keys (tenant_id, scope, key) WHERE shared;
