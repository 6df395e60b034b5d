-- Requests to give up what is owed on an invoice. Within the tenant's tolerance one person does it at once; above it, the
-- request waits until a second person has decided.
CREATE TABLE write_offs (
  tenant_id       uuid NOT NULL,
  id              uuid NOT NULL, -- also the adjustment's, once it is posted
  invoice_id      uuid NOT NULL,
  account_id      uuid NOT NULL,
  amount_minor    positive_minor NOT NULL,
  currency        currency_code NOT NULL,
  reason          text NOT NULL CONSTRAINT write_offs_reason_check CHECK (length(reason) BETWEEN 1 AND 500),
  status          text NOT NULL CONSTRAINT write_offs_status_check CHECK (status IN ('pending', 'posted', 'rejected', 'reversed')),
  by_one          boolean NOT NULL, -- within the tolerance when it was asked for
  requested_by    uuid NOT NULL,
  requested_label text NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  decided_at      timestamptz, -- posted or rejected
  reversed_at     timestamptz,
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT write_offs_invoice_fk FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices ON DELETE RESTRICT,
  CONSTRAINT write_offs_decided_check CHECK ((status = 'pending') = (decided_at IS NULL) AND (status = 'reversed') = (reversed_at IS NOT NULL)),
  CONSTRAINT write_offs_by_one_check CHECK (NOT by_one OR status IN ('posted', 'reversed'))
);
--bun:split
-- one request at a time: the next one would be about what the first leaves
CREATE UNIQUE INDEX write_offs_pending_key ON write_offs (tenant_id, invoice_id) WHERE status = 'pending';
--bun:split
CREATE INDEX write_offs_invoice_idx ON write_offs (tenant_id, invoice_id, created_at DESC, id DESC);
--bun:split
CREATE INDEX write_offs_created_at_idx ON write_offs (tenant_id, created_at DESC, id DESC);
--bun:split
CREATE INDEX write_offs_account_idx ON write_offs (tenant_id, account_id, created_at DESC, id DESC);
--bun:split
SELECT secure_table('write_offs', 'none', 'SELECT, INSERT, UPDATE (status, decided_at, reversed_at)');
--bun:split
CREATE FUNCTION write_offs_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.status, NEW.status) NOT IN (('pending', 'posted'), ('pending', 'rejected'), ('posted', 'reversed')) THEN
    RAISE EXCEPTION 'a write-off cannot go from % to %', OLD.status, NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'write_offs_transition';
  END IF;
  IF (OLD.tenant_id, OLD.id, OLD.invoice_id, OLD.account_id, OLD.amount_minor, OLD.currency, OLD.reason, OLD.by_one, OLD.requested_by, OLD.requested_label, OLD.created_at)
     IS DISTINCT FROM (NEW.tenant_id, NEW.id, NEW.invoice_id, NEW.account_id, NEW.amount_minor, NEW.currency, NEW.reason, NEW.by_one, NEW.requested_by, NEW.requested_label, NEW.created_at) THEN
    RAISE EXCEPTION 'what was asked for stays as it is' USING ERRCODE = 'check_violation', CONSTRAINT = 'write_offs_immutable';
  END IF;
  RETURN NEW;
END $$;
--bun:split
CREATE TRIGGER write_offs_guard BEFORE UPDATE ON write_offs FOR EACH ROW EXECUTE FUNCTION write_offs_guard();
