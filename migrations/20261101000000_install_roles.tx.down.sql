-- The roles stay: they belong to the server, and other databases on it may use them.
DROP FUNCTION refuse_change();
--bun:split
DROP FUNCTION observe(text, text);
--bun:split
DROP FUNCTION secure_table(text, text, text);
