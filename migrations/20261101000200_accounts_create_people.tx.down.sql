DROP TABLE login_throttle;
--bun:split
DROP TABLE credentials;
--bun:split
DROP TABLE memberships;
--bun:split
DROP TABLE users;
--bun:split
DROP TABLE accounts;
