-- The queue's rows are written by the trigger of payments and by nobody else, and payments are never deleted from the table,
-- from now on by nobody: a foreign key says nothing that is not so, and locked each payment once more when it was approved.
ALTER TABLE settlement_queue DROP CONSTRAINT settlement_queue_payment_fk;
--bun:split
CREATE TRIGGER payments_stay BEFORE DELETE OR TRUNCATE ON payments EXECUTE FUNCTION refuse_change();
