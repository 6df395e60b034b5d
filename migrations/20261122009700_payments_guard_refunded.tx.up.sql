-- What is refunded of a payment and its status say the same, and nothing that was refunded is forgotten: it only counts less
-- when the refunds themselves say so. The conditions stand in the triggers, where PostgreSQL evaluates them by itself:
-- settlement never comes here.
CREATE FUNCTION payments_refunded() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  taken bigint := coalesce(NEW.received_minor, NEW.amount_minor);
BEGIN
  IF (NEW.status = 'refunded') <> (NEW.refunded_minor = taken) OR (NEW.status = 'partially_refunded') <> (NEW.refunded_minor > 0 AND NEW.refunded_minor < taken) THEN
    RAISE EXCEPTION 'a payment that is % cannot have % of % refunded', NEW.status, NEW.refunded_minor, taken USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_refunded_guard', TABLE = 'payments';
  END IF;
  IF TG_OP = 'UPDATE' AND NEW.refunded_minor < OLD.refunded_minor AND NEW.refunded_minor <>
    (SELECT coalesce(sum(r.amount_minor), 0) FROM refunds r WHERE r.tenant_id = NEW.tenant_id AND r.payment_id = NEW.id AND r.status = 'succeeded') THEN
    RAISE EXCEPTION 'what was refunded stays refunded' USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_refunded_guard', TABLE = 'payments';
  END IF;
  RETURN NULL;
END $$;
--bun:split
CREATE TRIGGER payments_refunded_insert AFTER INSERT ON payments FOR EACH ROW
  WHEN (NEW.refunded_minor <> 0 OR NEW.status IN ('partially_refunded', 'refunded')) EXECUTE FUNCTION payments_refunded();
--bun:split
CREATE TRIGGER payments_refunded_update AFTER UPDATE ON payments FOR EACH ROW
  WHEN (NEW.refunded_minor <> OLD.refunded_minor OR NEW.status <> OLD.status AND (NEW.refunded_minor <> 0 OR NEW.status IN ('partially_refunded', 'refunded')))
  EXECUTE FUNCTION payments_refunded();
