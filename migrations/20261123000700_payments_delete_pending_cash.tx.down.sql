CREATE OR REPLACE FUNCTION payments_keep_ordered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM payment_orders o WHERE o.tenant_id = NEW.tenant_id AND o.payment_id = NEW.id) THEN
    RAISE EXCEPTION 'a payment that a provider is asked for cannot be deleted' USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_ordered';
  END IF;
  RETURN NEW;
END $$;
--bun:split
-- Cash that was deleted is cancelled, and shows as that. The owner of the table may be subject to its policies, which know no tenant here.
ALTER TABLE payments NO FORCE ROW LEVEL SECURITY;
--bun:split
UPDATE payments SET deleted_at = NULL WHERE deleted_at IS NOT NULL AND status = 'cancelled';
--bun:split
ALTER TABLE payments FORCE ROW LEVEL SECURITY;
--bun:split
ALTER TABLE payments DROP CONSTRAINT payments_deleted_check,
  ADD CONSTRAINT payments_deleted_check CHECK (deleted_at IS NULL OR status = 'created');
