-- Who can sign in for an account, the newest first: without it all people of the tenant were read.
CREATE INDEX memberships_account_idx ON memberships (tenant_id, account_id, created_at DESC, id DESC) WHERE account_id IS NOT NULL;
