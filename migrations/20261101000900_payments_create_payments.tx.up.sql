CREATE DOMAIN payment_status AS text CONSTRAINT payment_status_check CHECK (VALUE IN ('created', 'pending', 'pending_approval', 'processing', 'authorized',
  'succeeded', 'partially_refunded', 'refunded', 'failed', 'cancelled', 'expired'));
--bun:split
CREATE DOMAIN payment_gateway AS text CONSTRAINT payment_gateway_check CHECK (VALUE IN ('stripe', 'click', 'payme', 'octo', 'cash', 'integrator', 'paypal', 'manual', 'voucher',
  'bkash', 'nagad', 'rocket', 'dbbl', 'sslcommerz'));
--bun:split
CREATE DOMAIN settlement_status AS text CONSTRAINT settlement_status_check CHECK (VALUE IN ('unsettled', 'settled'));
--bun:split
CREATE DOMAIN reconciliation_status AS text CONSTRAINT reconciliation_status_check CHECK (VALUE IN ('unmatched', 'matched', 'mismatch', 'manual'));
--bun:split
CREATE TABLE payments (
  tenant_id             uuid NOT NULL,
  id                    uuid NOT NULL,
  account_id            uuid NOT NULL,
  invoice_id            uuid,
  external_id           external_reference,
  method                payment_method NOT NULL,
  gateway               payment_gateway NOT NULL,
  amount_minor          positive_minor NOT NULL, -- as claimed
  received_minor        positive_minor,          -- as stated by the approver; null until approved
  applied_minor         amount_minor,            -- went to the invoice; null until settled
  excess_minor          amount_minor,            -- went to the customer's credit
  currency              currency_code NOT NULL,
  refunded_minor        amount_minor NOT NULL DEFAULT 0,
  status                payment_status NOT NULL,
  settlement_status     settlement_status NOT NULL DEFAULT 'unsettled',
  reconciliation_status reconciliation_status NOT NULL DEFAULT 'unmatched',
  reference             text NOT NULL DEFAULT '', -- as submitted, trimmed
  reference_norm        text COLLATE "C" NOT NULL DEFAULT '', -- upper case letters and digits only; compared bytewise, so that a prefix is a range
  details               "json_object" NOT NULL DEFAULT '{}',
  notes                 text NOT NULL DEFAULT '',
  failure_code          text NOT NULL DEFAULT '',
  failure_reason        text NOT NULL DEFAULT '',
  paid_at               timestamptz, -- when the payer says he paid
  submitted_by          uuid,
  retry_of              uuid,
  set_aside             text NOT NULL DEFAULT '', -- why the settlement could not take it; empty: nothing is wrong
  version               integer NOT NULL DEFAULT 1,
  created_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
  approved_at           timestamptz,
  processed_at          timestamptz,
  failed_at             timestamptz,
  cancelled_at          timestamptz,
  expired_at            timestamptz,
  refunded_at           timestamptz,
  deleted_at            timestamptz,
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT payments_account_fk FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE RESTRICT,
  CONSTRAINT payments_invoice_fk FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices ON DELETE RESTRICT,
  CONSTRAINT payments_retry_fk FOREIGN KEY (tenant_id, retry_of) REFERENCES payments ON DELETE RESTRICT,
  CONSTRAINT payments_manual_check CHECK (gateway <> 'manual' OR (invoice_id IS NOT NULL AND reference_norm <> '')),
  CONSTRAINT payments_refunded_check CHECK (refunded_minor <= coalesce(received_minor, amount_minor)),
  CONSTRAINT payments_settled_check CHECK (applied_minor IS NULL OR applied_minor + excess_minor = coalesce(received_minor, amount_minor)),
  CONSTRAINT payments_succeeded_check CHECK (status <> 'succeeded' OR (applied_minor IS NOT NULL AND processed_at IS NOT NULL)),
  CONSTRAINT payments_deleted_check CHECK (deleted_at IS NULL OR status = 'created')
) WITH (fillfactor = 80);
--bun:split
CREATE UNIQUE INDEX payments_external_id_key ON payments (tenant_id, external_id) WHERE external_id IS NOT NULL;
--bun:split
-- The natural key of a submission (C-08): one live claim for an invoice, method and reference.
CREATE UNIQUE INDEX payments_reference_key ON payments (tenant_id, invoice_id, method, reference_norm)
  WHERE status IN ('created', 'pending', 'pending_approval', 'processing', 'authorized') AND reference_norm <> '';
--bun:split
-- Ids are of version 7: their order is the order of creation, so the primary key serves the tenant's list.
CREATE INDEX payments_account_idx ON payments (tenant_id, account_id, id);
--bun:split
CREATE INDEX payments_invoice_idx ON payments (tenant_id, invoice_id, id) WHERE invoice_id IS NOT NULL;
--bun:split
CREATE INDEX payments_reference_idx ON payments (tenant_id, reference_norm) WHERE reference_norm <> '';
--bun:split
-- What waits, for the approvers and for the worker: small, however many payments there are.
CREATE INDEX payments_waiting_idx ON payments (tenant_id, status, id) WHERE status IN ('pending_approval', 'processing');
--bun:split
SELECT secure_table('payments', 'account_id', 'SELECT, INSERT, UPDATE');
--bun:split
SELECT observe('payments', 'tenant_id, id, status, set_aside, created_at, approved_at');
--bun:split
-- A payment moves along the edges of the state diagram and no others, whoever writes (W-04, S1-32); what was claimed
-- stays as it was claimed (S0D-01). failed, cancelled and expired come back only with the reconciler's mark.
CREATE FUNCTION payments_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status <> NEW.status AND NOT (OLD.status, NEW.status) IN (
    ('created', 'pending'), ('created', 'pending_approval'), ('created', 'processing'), ('created', 'authorized'), ('created', 'succeeded'), ('created', 'failed'), ('created', 'cancelled'), ('created', 'expired'),
    ('pending', 'processing'), ('pending', 'authorized'), ('pending', 'succeeded'), ('pending', 'failed'), ('pending', 'cancelled'), ('pending', 'expired'),
    ('pending_approval', 'processing'), ('pending_approval', 'failed'), ('pending_approval', 'cancelled'), ('pending_approval', 'expired'),
    ('processing', 'succeeded'), ('processing', 'authorized'), ('processing', 'failed'), ('processing', 'pending_approval'),
    ('authorized', 'succeeded'), ('authorized', 'cancelled'), ('authorized', 'failed'), ('authorized', 'expired'),
    ('succeeded', 'partially_refunded'), ('succeeded', 'refunded'), ('partially_refunded', 'refunded'))
    AND NOT (OLD.status IN ('failed', 'cancelled', 'expired') AND NEW.status = 'succeeded' AND NEW.reconciliation_status = 'matched') THEN
    RAISE EXCEPTION 'a payment cannot go from % to %', OLD.status, NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_transition';
  END IF;
  IF (OLD.account_id, OLD.invoice_id, OLD.method, OLD.gateway, OLD.amount_minor, OLD.currency, OLD.reference, OLD.submitted_by, OLD.created_at)
     IS DISTINCT FROM (NEW.account_id, NEW.invoice_id, NEW.method, NEW.gateway, NEW.amount_minor, NEW.currency, NEW.reference, NEW.submitted_by, NEW.created_at) THEN
    RAISE EXCEPTION 'what was claimed cannot be changed' USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_immutable';
  END IF;
  IF OLD.received_minor IS NOT NULL AND NEW.received_minor IS DISTINCT FROM OLD.received_minor AND OLD.status <> 'pending_approval' THEN
    RAISE EXCEPTION 'the received amount is part of the decision and cannot be changed' USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_immutable';
  END IF;
  RETURN NEW;
END $$;
--bun:split
CREATE TRIGGER payments_guard BEFORE UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION payments_guard();
--bun:split
CREATE TABLE payment_evidence (
  tenant_id   uuid NOT NULL,
  payment_id  uuid NOT NULL,
  evidence_id uuid NOT NULL,
  account_id  uuid NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, payment_id, evidence_id),
  CONSTRAINT payment_evidence_payment_fk FOREIGN KEY (tenant_id, payment_id) REFERENCES payments ON DELETE RESTRICT,
  CONSTRAINT payment_evidence_evidence_fk FOREIGN KEY (tenant_id, evidence_id) REFERENCES evidence ON DELETE RESTRICT
);
--bun:split
CREATE INDEX payment_evidence_evidence_idx ON payment_evidence (tenant_id, evidence_id);
--bun:split
SELECT secure_table('payment_evidence', 'account_id', 'SELECT, INSERT');
--bun:split
CREATE TRIGGER payment_evidence_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payment_evidence EXECUTE FUNCTION refuse_change();
--bun:split
-- Which references were seen anywhere in the installation, so that an approver learns that one was used elsewhere and
-- nobody learns where: both columns are keyed hashes, of the reference and of the tenant.
CREATE TABLE reference_sightings (
  reference bytea NOT NULL CHECK (length(reference) = 32),
  seen_by   bytea NOT NULL CHECK (length(seen_by) = 32),
  PRIMARY KEY (reference, seen_by)
);
--bun:split
GRANT SELECT, INSERT ON reference_sightings TO countersign_app;
