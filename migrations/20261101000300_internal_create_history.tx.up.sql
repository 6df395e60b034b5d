CREATE DOMAIN actor_kind AS text CONSTRAINT actor_kind_check CHECK (VALUE IN ('user', 'system'));
--bun:split
CREATE DOMAIN idempotency_key AS text CONSTRAINT idempotency_key_check CHECK (length(VALUE) BETWEEN 1 AND 255);
--bun:split
-- Who did what, when, from where, why. The sealing function numbers and hash-chains rows some seconds after they are
-- committed, so that writers of one tenant do not wait for each other.
CREATE TABLE audit_log (
  tenant_id   uuid NOT NULL,
  id          uuid NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor_kind  actor_kind NOT NULL,
  actor_id    uuid,
  actor_label text NOT NULL,
  action      text NOT NULL,
  object_type text NOT NULL,
  object_id   uuid NOT NULL,
  account_id  uuid, -- the account that the change concerns
  before      jsonb,
  after       jsonb,
  reason      text NOT NULL DEFAULT '',
  request_id  text NOT NULL DEFAULT '',
  ip          text NOT NULL DEFAULT '',
  user_agent  text NOT NULL DEFAULT '',
  chain_seq   bigint,
  chain_hash  bytea,
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT audit_log_sealed_check CHECK ((chain_seq IS NULL) = (chain_hash IS NULL))
) WITH (fillfactor = 80); -- sealing changes no indexed column, so a sealed row stays on its page
--bun:split
CREATE INDEX audit_log_object_idx ON audit_log (tenant_id, object_id);
--bun:split
SELECT secure_table('audit_log', 'none', 'SELECT, INSERT (tenant_id, id, actor_kind, actor_id, actor_label, action, object_type, object_id, account_id, before, after, reason, request_id, ip, user_agent)');
--bun:split
-- Rows of the log that have no place in the chain yet.
CREATE TABLE audit_unsealed (
  tenant_id uuid NOT NULL,
  id        uuid NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
--bun:split
SELECT secure_table('audit_unsealed', 'none', 'SELECT, INSERT');
--bun:split
SELECT observe('audit_unsealed', 'tenant_id, id');
--bun:split
-- The end of each tenant's chain.
CREATE TABLE audit_heads (
  tenant_id  uuid PRIMARY KEY,
  chain_seq  bigint NOT NULL,
  chain_hash bytea NOT NULL
);
--bun:split
SELECT secure_table('audit_heads', 'none', 'SELECT');
--bun:split
-- Sealing, once, is the only change that a row of the log allows, whoever asks.
CREATE FUNCTION audit_log_guard() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER audit_log_truncate BEFORE TRUNCATE ON audit_log EXECUTE FUNCTION refuse_change();
--bun:split
-- What a row of the log says, as one canonical text: jsonb orders its keys, and times are in UTC with microseconds.
CREATE FUNCTION audit_content(r audit_log) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_array(r.tenant_id, r.id, (extract(epoch FROM r.created_at) * 1000000)::bigint, r.actor_kind, r.actor_id, r.actor_label, r.action,
    r.object_type, r.object_id, r.account_id, r.before, r.after, r.reason, r.request_id, r.ip, r.user_agent)::text
$$;
--bun:split
-- audit_seal gives up to a number of unsealed rows of the current tenant their place in the chain:
-- hash(n) = sha256(hash(n-1) || content(n)). It runs as the owner, because the program itself may not update the log.
CREATE FUNCTION audit_seal(batch integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
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
--bun:split
REVOKE ALL ON FUNCTION audit_seal(integer) FROM PUBLIC;
--bun:split
GRANT EXECUTE ON FUNCTION audit_seal(integer) TO countersign_app;
--bun:split
-- What happened, for the tenant's own reading and for those above who react. Never changed.
CREATE TABLE events (
  tenant_id   uuid NOT NULL,
  id          uuid NOT NULL,
  type        text NOT NULL,
  object_type text NOT NULL,
  object_id   uuid NOT NULL,
  account_id  uuid,
  payload     jsonb NOT NULL,
  actor       text NOT NULL,
  request_id  text NOT NULL DEFAULT '',
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, id)
);
--bun:split
CREATE INDEX events_object_idx ON events (tenant_id, object_id);
--bun:split
SELECT secure_table('events', 'account_id', 'SELECT, INSERT');
--bun:split
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events EXECUTE FUNCTION refuse_change();
--bun:split
-- Work that is committed and must be done: one row for each task that an event, a tick of the clock or a person asked
-- for. The relay hands it to the queue; the handler marks it done in the commit of its effect; what is not done by
-- next_at is handed over again. cause makes it happen once.
CREATE TABLE outbox (
  tenant_id   uuid NOT NULL,
  id          uuid NOT NULL,
  task        text NOT NULL,
  cause       text NOT NULL, -- event:<id>, tick:<time> or manual:<id>
  payload     jsonb NOT NULL DEFAULT '{}',
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  next_at     timestamptz NOT NULL DEFAULT now(), -- when it is handed over, or handed over again
  attempts    integer NOT NULL DEFAULT 0,
  done_at     timestamptz,
  dead_at     timestamptz,
  last_error  text NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT outbox_cause_key UNIQUE (tenant_id, task, cause),
  CONSTRAINT outbox_end_check CHECK (done_at IS NULL OR dead_at IS NULL)
);
--bun:split
CREATE INDEX outbox_waiting_idx ON outbox (tenant_id, next_at) WHERE done_at IS NULL AND dead_at IS NULL;
--bun:split
CREATE INDEX outbox_dead_idx ON outbox (tenant_id, dead_at) WHERE dead_at IS NOT NULL;
--bun:split
SELECT secure_table('outbox', 'none', 'SELECT, INSERT, UPDATE (next_at, attempts, done_at, dead_at, last_error)');
--bun:split
SELECT observe('outbox', 'tenant_id, id, task, created_at, next_at, done_at, dead_at');
--bun:split
-- The answer that a request with an idempotency key got. The row is written in the commit of the effect, so that a key
-- without its effect, or an effect without its key, cannot exist (S1-35).
CREATE TABLE idempotency_keys (
  tenant_id  uuid NOT NULL,
  owner_id   uuid NOT NULL, -- the member's account, or the user of staff: nobody replays somebody else's answer
  scope      text NOT NULL, -- the operation (S1-47)
  key        idempotency_key NOT NULL,
  body_hash  sha256_hash NOT NULL,
  answer     text, -- null only inside the transaction that writes it
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, owner_id, scope, key)
);
--bun:split
SELECT secure_table('idempotency_keys', 'owner_id', 'SELECT, INSERT, UPDATE (answer)');
