-- Who is at home in a tenant has a membership there, and none is ever deleted: his own row says it to the staff. The others'
-- memberships are looked up by a function, because a question in a policy is prepared for by every statement that reads users,
-- even if it is never asked, and every request is authenticated by such a statement: it was a third of what that cost. The
-- function asks under the walls of memberships, as the question did: a member of an account finds those of his account.
CREATE FUNCTION has_membership(person uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (SELECT FROM memberships m WHERE m.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid AND m.user_id = person);
END $$;
--bun:split
REVOKE ALL ON FUNCTION has_membership(uuid) FROM PUBLIC;
--bun:split
GRANT EXECUTE ON FUNCTION has_membership(uuid) TO countersign_app;
--bun:split
ALTER POLICY tenant ON users USING (
  id = nullif(current_setting('app.user_id', true), '')::uuid
  OR home_tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid AND nullif(current_setting('app.account_id', true), '') IS NULL
  OR has_membership(id));
