-- The document of an adjustment that takes a part of the sale back, and with a number of its own the one that undoes it.
CREATE TABLE credit_notes (
  tenant_id    uuid NOT NULL,
  id           uuid NOT NULL, -- the adjustment's
  number       text COLLATE "C" NOT NULL CONSTRAINT credit_notes_number_check CHECK (number ~ '^[A-Z0-9]{1,12}-CN-[0-9]{4}-[0-9]{6,}$'),
  invoice_id   uuid NOT NULL,
  account_id   uuid NOT NULL,
  kind         text NOT NULL GENERATED ALWAYS AS ('credit_note') STORED,
  amount_minor bigint NOT NULL, -- below zero when it takes another back
  net_minor    bigint NOT NULL,
  tax_minor    bigint NOT NULL,
  currency     currency_code NOT NULL,
  reason       text NOT NULL CONSTRAINT credit_notes_reason_check CHECK (length(reason) BETWEEN 1 AND 500),
  refund_id    uuid, -- the refund that gave the money back; null: it lowered what is owed
  reverses     uuid,
  issued_by    text NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT credit_notes_number_key UNIQUE (tenant_id, number),
  CONSTRAINT credit_notes_refund_key UNIQUE (tenant_id, refund_id),
  CONSTRAINT credit_notes_reverses_key UNIQUE (tenant_id, reverses),
  CONSTRAINT credit_notes_reverses_fk FOREIGN KEY (tenant_id, reverses) REFERENCES credit_notes ON DELETE RESTRICT,
  CONSTRAINT credit_notes_adjustment_fk FOREIGN KEY (tenant_id, id, invoice_id, kind, amount_minor)
    REFERENCES invoice_adjustments (tenant_id, id, invoice_id, kind, amount_minor) ON DELETE RESTRICT,
  CONSTRAINT credit_notes_amount_check CHECK (amount_minor = net_minor + tax_minor
    AND CASE WHEN reverses IS NULL THEN amount_minor > 0 AND net_minor >= 0 AND tax_minor >= 0 ELSE amount_minor < 0 AND net_minor <= 0 AND tax_minor <= 0 END)
);
--bun:split
CREATE INDEX credit_notes_created_at_idx ON credit_notes (tenant_id, created_at DESC, id DESC);
--bun:split
CREATE INDEX credit_notes_account_idx ON credit_notes (tenant_id, account_id, created_at DESC, id DESC);
--bun:split
CREATE INDEX credit_notes_invoice_idx ON credit_notes (tenant_id, invoice_id, created_at DESC, id DESC);
--bun:split
SELECT secure_table('credit_notes', 'account_id', 'SELECT, INSERT');
--bun:split
CREATE TRIGGER credit_notes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_notes EXECUTE FUNCTION refuse_change();
--bun:split
CREATE FUNCTION credit_notes_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM invoice_adjustments a WHERE a.tenant_id = NEW.tenant_id AND a.id = NEW.id AND a.account_id = NEW.account_id AND a.currency = NEW.currency
     AND a.reverses IS NOT DISTINCT FROM NEW.reverses) THEN
    RAISE EXCEPTION 'a credit note says what its adjustment says' USING ERRCODE = 'check_violation', CONSTRAINT = 'credit_notes_adjustment';
  END IF;
  RETURN NULL;
END $$;
--bun:split
CREATE TRIGGER credit_notes_guard AFTER INSERT ON credit_notes FOR EACH ROW EXECUTE FUNCTION credit_notes_guard();
