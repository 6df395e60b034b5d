CREATE DOMAIN invoice_status AS text CONSTRAINT invoice_status_check CHECK (VALUE IN ('draft', 'open', 'partially_paid', 'paid', 'void', 'uncollectible'));
--bun:split
-- What is billed is at most 10^15 minor units, so that sums of thousands of invoices still fit into 64 bits.
CREATE DOMAIN billed_minor AS bigint CONSTRAINT billed_minor_check CHECK (VALUE BETWEEN 0 AND 1000000000000000);
--bun:split
CREATE DOMAIN service_credits AS bigint CONSTRAINT service_credits_check CHECK (VALUE BETWEEN 0 AND 1000000000000);
--bun:split
CREATE TABLE invoices (
  tenant_id         uuid NOT NULL,
  id                uuid NOT NULL,
  account_id        uuid NOT NULL,
  external_id       external_reference COLLATE "C", -- byte order, so that the unique index serves prefixes too
  number            text COLLATE "C" CONSTRAINT invoices_number_length CHECK (length(number) BETWEEN 1 AND 60), -- null until finalised, unless the client gave one
  number_is_ours    boolean NOT NULL DEFAULT true,
  status            invoice_status NOT NULL DEFAULT 'draft',
  currency          currency_code NOT NULL,
  invoice_date      date NOT NULL,
  due_date          date NOT NULL,
  subtotal_minor    billed_minor NOT NULL, -- net, before discount and tax
  discount_minor    bigint NOT NULL CHECK (discount_minor BETWEEN 0 AND subtotal_minor),
  tax_minor         billed_minor NOT NULL,
  total_minor       billed_minor NOT NULL,
  paid_minor        amount_minor NOT NULL DEFAULT 0,
  credited_minor    amount_minor NOT NULL DEFAULT 0,
  balance_minor     amount_minor NOT NULL,
  credits           service_credits NOT NULL DEFAULT 0, -- service credits granted when it is paid
  notes             text NOT NULL DEFAULT '',
  void_reason       text NOT NULL DEFAULT '',
  pending_claims    integer NOT NULL DEFAULT 0 CHECK (pending_claims >= 0), -- payments submitted or approved, not yet settled
  clock_paused_at   timestamptz,                          -- since when pending claims stop the due date's clock
  clock_paused_for  bigint NOT NULL DEFAULT 0 CHECK (clock_paused_for >= 0), -- how long it stood before that, in nanoseconds
  version           integer NOT NULL DEFAULT 1,
  created_at        timestamptz NOT NULL DEFAULT now(),
  updated_at        timestamptz NOT NULL DEFAULT now(),
  finalized_at      timestamptz,
  paid_at           timestamptz,
  voided_at         timestamptz,
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT invoices_number_key UNIQUE (tenant_id, number),
  CONSTRAINT invoices_external_id_key UNIQUE (tenant_id, external_id),
  CONSTRAINT invoices_account_fk FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE RESTRICT,
  CONSTRAINT invoices_total_check CHECK (total_minor = subtotal_minor - discount_minor + tax_minor),
  CONSTRAINT invoices_balance_check CHECK (balance_minor = CASE WHEN status = 'void' THEN 0 ELSE total_minor - paid_minor - credited_minor END),
  CONSTRAINT invoices_due_check CHECK (due_date >= invoice_date),
  CONSTRAINT invoices_number_check CHECK (status IN ('draft', 'void') OR number IS NOT NULL),
  -- A client's number never has the form of those that finalisation gives, under whatever prefix the tenant will choose:
  -- so no number of a series is ever in the way of finalisation, and no series has a gap.
  CONSTRAINT invoices_number_reserved CHECK (number_is_ours OR number !~ '^[A-Z0-9]{1,12}-[0-9]{4}-[0-9]{6,}$'),
  CONSTRAINT invoices_amounts_fit_status CHECK (CASE status
    WHEN 'draft' THEN paid_minor = 0 AND finalized_at IS NULL
    WHEN 'open' THEN paid_minor = 0 AND balance_minor > 0 AND finalized_at IS NOT NULL
    WHEN 'partially_paid' THEN paid_minor > 0 AND balance_minor > 0 AND finalized_at IS NOT NULL
    WHEN 'paid' THEN balance_minor = 0 AND finalized_at IS NOT NULL AND paid_at IS NOT NULL
    WHEN 'void' THEN paid_minor = 0 AND voided_at IS NOT NULL AND pending_claims = 0
    ELSE true END),
  CONSTRAINT invoices_clock_check CHECK ((pending_claims > 0) = (clock_paused_at IS NOT NULL))
) WITH (fillfactor = 80);
--bun:split
CREATE INDEX invoices_created_at_idx ON invoices (tenant_id, created_at DESC, id DESC);
--bun:split
CREATE INDEX invoices_account_idx ON invoices (tenant_id, account_id, created_at DESC, id DESC);
--bun:split
-- Like the others, on columns that stay as they are once an invoice is finalised: an index with the status in it would
-- make each settlement write to every index of the row.
CREATE INDEX invoices_due_date_idx ON invoices (tenant_id, due_date, id);
--bun:split
SELECT secure_table('invoices', 'account_id', 'SELECT, INSERT, UPDATE');
--bun:split
-- An invoice moves along these edges and no others, whoever writes; what was billed stays as it was finalised.
CREATE FUNCTION invoices_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status <> NEW.status AND NOT (OLD.status, NEW.status) IN (
    ('draft', 'open'), ('draft', 'paid'), ('draft', 'void'), ('open', 'partially_paid'), ('open', 'paid'), ('open', 'void'),
    ('open', 'uncollectible'), ('partially_paid', 'paid'), ('partially_paid', 'open'), ('partially_paid', 'uncollectible'),
    ('paid', 'partially_paid'), ('paid', 'open'), ('uncollectible', 'partially_paid'), ('uncollectible', 'paid')) THEN
    RAISE EXCEPTION 'an invoice cannot go from % to %', OLD.status, NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'invoices_transition';
  END IF;
  IF OLD.status <> 'draft' AND (OLD.account_id, OLD.number, OLD.currency, OLD.invoice_date, OLD.due_date, OLD.subtotal_minor, OLD.discount_minor, OLD.tax_minor, OLD.credits)
     IS DISTINCT FROM (NEW.account_id, NEW.number, NEW.currency, NEW.invoice_date, NEW.due_date, NEW.subtotal_minor, NEW.discount_minor, NEW.tax_minor, NEW.credits) THEN
    RAISE EXCEPTION 'a finalised invoice cannot be changed: void it or credit it' USING ERRCODE = 'check_violation', CONSTRAINT = 'invoices_immutable';
  END IF;
  RETURN NEW;
END $$;
--bun:split
CREATE TRIGGER invoices_guard BEFORE UPDATE ON invoices FOR EACH ROW EXECUTE FUNCTION invoices_guard();
--bun:split
CREATE TABLE line_items (
  tenant_id      uuid NOT NULL,
  id             uuid NOT NULL,
  invoice_id     uuid NOT NULL,
  account_id     uuid NOT NULL,
  line           smallint NOT NULL CHECK (line >= 1),
  description    text NOT NULL CHECK (length(description) BETWEEN 1 AND 500),
  quantity       numeric(20,6) NOT NULL CHECK (quantity > 0),
  unit_price     numeric(20,6) NOT NULL CHECK (unit_price >= 0),
  net_minor      bigint NOT NULL CHECK (net_minor BETWEEN 0 AND 1000000000000000),
  discount_minor bigint NOT NULL DEFAULT 0 CHECK (discount_minor BETWEEN 0 AND net_minor),
  tax_rate       numeric(9,6) NOT NULL DEFAULT 0 CHECK (tax_rate BETWEEN 0 AND 1), -- a fraction: 0.15 is 15 %
  tax_minor      bigint NOT NULL DEFAULT 0 CHECK (tax_minor BETWEEN 0 AND 1000000000000000),
  total_minor    bigint NOT NULL,
  credits        bigint NOT NULL DEFAULT 0 CHECK (credits BETWEEN 0 AND 1000000000000),
  service_type   text NOT NULL DEFAULT '',
  service_id     text NOT NULL DEFAULT '',
  billing_code   text NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT line_items_line_key UNIQUE (tenant_id, invoice_id, line),
  CONSTRAINT line_items_invoice_fk FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices ON DELETE RESTRICT,
  CONSTRAINT line_items_total_check CHECK (total_minor = net_minor - discount_minor + tax_minor)
);
--bun:split
SELECT secure_table('line_items', 'account_id', 'SELECT, INSERT, DELETE');
--bun:split
CREATE FUNCTION line_items_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  item line_items := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
  IF NOT EXISTS (SELECT FROM invoices i WHERE i.tenant_id = item.tenant_id AND i.id = item.invoice_id AND i.account_id = item.account_id AND i.status = 'draft') THEN
    RAISE EXCEPTION 'lines change only while their invoice is a draft' USING ERRCODE = 'check_violation', CONSTRAINT = 'line_items_draft';
  END IF;
  RETURN item;
END $$;
--bun:split
CREATE TRIGGER line_items_guard BEFORE INSERT OR UPDATE OR DELETE ON line_items FOR EACH ROW EXECUTE FUNCTION line_items_guard();
