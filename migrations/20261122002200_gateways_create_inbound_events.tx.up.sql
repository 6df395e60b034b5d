-- What providers have told us: stored before it is acted upon, once for each message, and marked in the commit of its effect
-- (W-06). Body and headers are sealed: they hold what providers know of payers.
CREATE TABLE inbound_events (
  tenant_id       uuid NOT NULL,
  id              uuid NOT NULL,
  config_id       uuid NOT NULL,
  gateway         text NOT NULL, -- the name under which the tenant has configured it
  mode            text NOT NULL CHECK (mode IN ('live', 'test')),
  replay_key      text NOT NULL CHECK (length(replay_key) BETWEEN 1 AND 200),
  payload         bytea NOT NULL,
  headers         bytea NOT NULL,
  status          text NOT NULL DEFAULT 'received' CHECK (status IN ('received', 'processed', 'failed', 'ignored')),
  attempts        integer NOT NULL DEFAULT 0, -- that have failed
  payment_id      uuid,
  note            text NOT NULL DEFAULT '', -- why it has failed, or was ignored
  response_status integer,
  response_type   text NOT NULL DEFAULT '',
  response        bytea, -- what the provider was answered, and is again when it repeats the message
  received_at     timestamptz NOT NULL DEFAULT now(),
  processed_at    timestamptz,
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT inbound_events_replay_key UNIQUE (tenant_id, gateway, mode, replay_key),
  CONSTRAINT inbound_events_config_fk FOREIGN KEY (tenant_id, config_id) REFERENCES gateway_configs ON DELETE RESTRICT,
  CONSTRAINT inbound_events_done_check CHECK ((status IN ('processed', 'ignored')) = (processed_at IS NOT NULL))
);
--bun:split
CREATE INDEX inbound_events_open_idx ON inbound_events (tenant_id, id) WHERE status IN ('received', 'failed');
--bun:split
CREATE INDEX inbound_events_payment_idx ON inbound_events (tenant_id, payment_id, id) WHERE payment_id IS NOT NULL;
--bun:split
SELECT secure_table('inbound_events', 'none', 'SELECT, INSERT, UPDATE (payload, headers, status, attempts, payment_id, note, response_status, response_type, response, processed_at)');
