-- The sandbox stands for a company outside: it commits in transactions of its own, remembers what it was asked under which
-- key, and knows nothing of our payments but their ids.
CREATE TABLE sandbox_orders (
  tenant_id        uuid NOT NULL REFERENCES tenants ON DELETE RESTRICT,
  id               uuid NOT NULL, -- as the asker has named it
  token            text NOT NULL,
  hold             boolean NOT NULL,
  currency         currency_code NOT NULL,
  amount_minor     positive_minor NOT NULL,
  state            text NOT NULL CHECK (state IN ('none', 'awaiting_customer', 'authorised', 'processing', 'paid', 'partially_refunded', 'refunded', 'failed', 'cancelled')),
  authorised_minor amount_minor NOT NULL DEFAULT 0,
  captured_minor   amount_minor NOT NULL DEFAULT 0,
  refunded_minor   amount_minor NOT NULL DEFAULT 0,
  failure_code     text NOT NULL DEFAULT '',
  becomes          text NOT NULL DEFAULT '' CHECK (becomes IN ('', 'paid', 'failed')), -- by itself, at becomes_at
  becomes_at       timestamptz,
  created_at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT sandbox_orders_amounts_check CHECK (refunded_minor <= captured_minor AND captured_minor <= amount_minor AND authorised_minor <= amount_minor),
  CONSTRAINT sandbox_orders_change_check CHECK ((becomes = '') = (becomes_at IS NULL))
);
--bun:split
SELECT secure_table('sandbox_orders', 'none', 'SELECT, INSERT, UPDATE');
--bun:split
-- Every call that has reached the sandbox. One that has acted keeps its answer, for repetitions under the same key.
CREATE TABLE sandbox_requests (
  tenant_id    uuid NOT NULL,
  id           uuid NOT NULL,
  order_id     uuid NOT NULL,
  operation    text NOT NULL CHECK (operation IN ('begin', 'capture', 'release', 'refund', 'status')),
  key          text NOT NULL CHECK (length(key) <= 255),
  body_hash    sha256_hash NOT NULL,
  outcome      text NOT NULL CHECK (outcome IN ('acted', 'replayed', 'refused', 'down', 'read')),
  answer       jsonb,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT sandbox_requests_order_fk FOREIGN KEY (tenant_id, order_id) REFERENCES sandbox_orders ON DELETE RESTRICT,
  CONSTRAINT sandbox_requests_answer_check CHECK ((outcome = 'acted') = (answer IS NOT NULL))
);
--bun:split
CREATE UNIQUE INDEX sandbox_requests_key ON sandbox_requests (tenant_id, operation, key) WHERE outcome = 'acted';
--bun:split
CREATE INDEX sandbox_requests_order_idx ON sandbox_requests (tenant_id, order_id);
--bun:split
SELECT secure_table('sandbox_requests', 'none', 'SELECT, INSERT');
--bun:split
-- What the sandbox has to say, copies and wrong orders included. next_at is when it is said, or said again; null: no more.
CREATE TABLE sandbox_callbacks (
  tenant_id    uuid NOT NULL,
  id           uuid NOT NULL,
  order_id     uuid NOT NULL,
  body         bytea NOT NULL,
  next_at      timestamptz,
  attempts     integer NOT NULL DEFAULT 0,
  delivered_at timestamptz,
  last_error   text NOT NULL DEFAULT '',
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT sandbox_callbacks_order_fk FOREIGN KEY (tenant_id, order_id) REFERENCES sandbox_orders ON DELETE RESTRICT
);
--bun:split
CREATE INDEX sandbox_callbacks_waiting_idx ON sandbox_callbacks (tenant_id, next_at) WHERE next_at IS NOT NULL;
--bun:split
CREATE INDEX sandbox_callbacks_order_idx ON sandbox_callbacks (tenant_id, order_id);
--bun:split
SELECT secure_table('sandbox_callbacks', 'none', 'SELECT, INSERT, UPDATE');
--bun:split
SELECT observe('sandbox_callbacks', 'tenant_id, next_at');
