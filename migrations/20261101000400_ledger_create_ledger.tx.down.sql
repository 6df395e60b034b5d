DROP TABLE ledger_balances;
--bun:split
DROP TABLE ledger_entries;
--bun:split
DROP FUNCTION ledger_entries_balance();
--bun:split
DROP TABLE ledger_transactions;
--bun:split
DROP TABLE ledger_accounts;
