-- The roles stay: they belong to the server, and other databases on it may use them.
DROP DOMAIN external_reference;
--bun:split
DROP DOMAIN sha256_hash;
--bun:split
DROP DOMAIN "json_object";
--bun:split
DROP DOMAIN positive_minor;
--bun:split
DROP DOMAIN amount_minor;
--bun:split
DROP DOMAIN currency_code;
--bun:split
DROP FUNCTION refuse_change();
--bun:split
DROP FUNCTION observe(text, text);
--bun:split
DROP FUNCTION secure_table(text, text, text);
