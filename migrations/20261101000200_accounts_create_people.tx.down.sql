DROP TABLE login_throttle;
--bun:split
DROP TABLE password_resets;
--bun:split
DROP FUNCTION revoke_own(uuid, timestamptz);
--bun:split
DROP FUNCTION login_of(text);
--bun:split
DROP TABLE credentials;
--bun:split
DROP POLICY tenant ON users;
--bun:split
DROP TABLE memberships;
--bun:split
DROP TABLE users;
--bun:split
DROP FUNCTION count_password();
--bun:split
DROP TABLE accounts;
