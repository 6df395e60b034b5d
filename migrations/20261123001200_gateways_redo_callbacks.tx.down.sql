DROP POLICY observer ON inbound_events;
--bun:split
REVOKE SELECT (tenant_id, redo_at) ON inbound_events FROM countersign_observer;
--bun:split
ALTER TABLE inbound_events DROP COLUMN redo_at;
