DROP FUNCTION ledger_move(uuid, uuid[], bigint[]);
