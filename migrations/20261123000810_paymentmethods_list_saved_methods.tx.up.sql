-- The saved methods of all accounts, the newest first: without it all of the tenant were read and sorted for each page.
CREATE INDEX account_payment_methods_created_at_idx ON account_payment_methods (tenant_id, created_at DESC, id DESC);
