ALTER POLICY tenant ON users USING (
  id = nullif(current_setting('app.user_id', true), '')::uuid
  OR (SELECT true FROM memberships m WHERE m.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid AND m.user_id = users.id));
--bun:split
DROP FUNCTION has_membership(uuid);
