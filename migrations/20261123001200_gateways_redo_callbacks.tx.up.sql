-- When a worker does again what a provider's message should have done, because whoever took it has died or failed. Null: it has
-- had its effect, or is tried no more.
ALTER TABLE inbound_events
  ADD COLUMN redo_at timestamptz,
  ADD CONSTRAINT inbound_events_redo_check CHECK (redo_at IS NULL OR processed_at IS NULL);
--bun:split
-- The owner of the table may be subject to its policies, which know no tenant here.
ALTER TABLE inbound_events NO FORCE ROW LEVEL SECURITY;
--bun:split
UPDATE inbound_events SET redo_at = now() WHERE status IN ('received', 'failed') AND received_at > now() - interval '2 days';
--bun:split
ALTER TABLE inbound_events FORCE ROW LEVEL SECURITY;
--bun:split
CREATE INDEX inbound_events_redo_idx ON inbound_events (tenant_id, redo_at) WHERE redo_at IS NOT NULL;
--bun:split
GRANT UPDATE (redo_at) ON inbound_events TO countersign_app;
--bun:split
SELECT observe('inbound_events', 'tenant_id, redo_at');
