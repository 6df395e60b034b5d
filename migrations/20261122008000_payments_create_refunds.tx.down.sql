DROP TABLE refunds;
--bun:split
DROP FUNCTION refunds_within();
--bun:split
DROP FUNCTION refunds_guard();
