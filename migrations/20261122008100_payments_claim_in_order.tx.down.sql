DROP FUNCTION settlement_claim(uuid, uuid, integer, integer, integer), settlement_take(uuid, tid[]);
