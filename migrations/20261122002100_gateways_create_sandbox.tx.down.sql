DROP TABLE sandbox_callbacks;
--bun:split
DROP TABLE sandbox_requests;
--bun:split
DROP TABLE sandbox_orders;
