DROP TRIGGER ledger_transactions_corrects ON ledger_transactions;
--bun:split
DROP FUNCTION ledger_transactions_corrects();
--bun:split
ALTER TABLE ledger_transactions ADD CONSTRAINT ledger_transactions_corrects_fk FOREIGN KEY (tenant_id, corrects) REFERENCES ledger_transactions ON DELETE RESTRICT;
--bun:split
DROP FUNCTION ledger_open(uuid, uuid[], text[], text[], text[], text[], uuid[], boolean[]);
