DROP TABLE write_offs;
--bun:split
DROP FUNCTION write_offs_guard();
