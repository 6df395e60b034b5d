REVOKE SELECT (created_at) ON tenants FROM countersign_observer;
--bun:split
DROP TABLE integrity_results;
