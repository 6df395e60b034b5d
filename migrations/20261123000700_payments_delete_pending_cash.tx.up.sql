-- Cash that nobody has completed may be deleted: it was never posted, and nobody was asked for it. What is deleted has come to its
-- end as cancelled, so that nothing counts it and its reference is free; what programs of before have deleted was only recorded.
ALTER TABLE payments DROP CONSTRAINT payments_deleted_check,
  ADD CONSTRAINT payments_deleted_check CHECK (deleted_at IS NULL OR status IN ('created', 'cancelled'));
--bun:split
-- As it was, and what people or providers were told of is never hidden either, though it has come to the same end.
CREATE OR REPLACE FUNCTION payments_keep_ordered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM payment_orders o WHERE o.tenant_id = NEW.tenant_id AND o.payment_id = NEW.id) THEN
    RAISE EXCEPTION 'a payment that a provider is asked for cannot be deleted' USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_ordered';
  END IF;
  IF OLD.status <> 'created' AND NOT (OLD.status = 'pending' AND OLD.gateway = 'cash') THEN
    RAISE EXCEPTION 'a payment that is % cannot be deleted', OLD.status USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_deletable';
  END IF;
  RETURN NEW;
END $$;
