DROP INDEX memberships_account_idx;
