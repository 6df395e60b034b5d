CREATE DOMAIN decision_subject AS text CONSTRAINT decision_subject_check CHECK (VALUE IN ('payment'));
--bun:split
CREATE DOMAIN decision_verdict AS text CONSTRAINT decision_verdict_check CHECK (VALUE IN ('approve', 'reject'));
--bun:split
-- The ladder: which claims need how many approvals, by whom, with what evidence. The first rule that fits decides, by
-- rank; when none does, the tenant's threshold says one or two.
CREATE TABLE approval_policies (
  tenant_id         uuid NOT NULL REFERENCES tenants ON DELETE RESTRICT,
  id                uuid NOT NULL,
  rank              integer NOT NULL,
  subject_type      decision_subject NOT NULL DEFAULT 'payment',
  payment_method    text,
  currency          currency_code,
  from_amount_minor amount_minor,
  to_amount_minor   bigint CHECK (to_amount_minor >= from_amount_minor), -- exclusive
  signal            text, -- fits only claims with this signal
  approvals         smallint NOT NULL CHECK (approvals IN (1, 2)),
  requires_evidence boolean NOT NULL DEFAULT false,
  permission        text NOT NULL DEFAULT 'billing.approve',
  created_at        timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT approval_policies_rank_key UNIQUE (tenant_id, subject_type, rank),
  CONSTRAINT approval_policies_band_currency_check CHECK (currency IS NOT NULL OR (from_amount_minor IS NULL AND to_amount_minor IS NULL))
);
--bun:split
SELECT secure_table('approval_policies', 'none', 'SELECT, INSERT, UPDATE, DELETE');
--bun:split
-- Who decided what, bound by digest to what was on the screen. One person decides once about one subject.
CREATE TABLE decisions (
  tenant_id      uuid NOT NULL,
  id             uuid NOT NULL,
  subject_type   decision_subject NOT NULL,
  subject_id     uuid NOT NULL,
  verdict        decision_verdict NOT NULL,
  user_id        uuid NOT NULL,
  user_label     text NOT NULL,
  digest         sha256_hash NOT NULL,
  received_minor positive_minor, -- what an approver says was really received
  note           text NOT NULL DEFAULT '',
  required       smallint NOT NULL, -- approvals that the policy asked for at that moment
  created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT decisions_person_key UNIQUE (tenant_id, subject_type, subject_id, user_id),
  CONSTRAINT decisions_reason_check CHECK (verdict = 'approve' OR note <> '')
);
--bun:split
SELECT secure_table('decisions', 'none', 'SELECT, INSERT');
--bun:split
CREATE TRIGGER decisions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON decisions EXECUTE FUNCTION refuse_change();
