-- Receipts and other proof. The file itself lies in the object store under storage_key; the row keeps what it is.
CREATE TABLE evidence (
  tenant_id    uuid NOT NULL,
  id           uuid NOT NULL,
  account_id   uuid NOT NULL,
  sha256       bytea NOT NULL CHECK (length(sha256) = 32),
  pixel_hash   bytea CHECK (length(pixel_hash) = 32),  -- the same for two files with the same pixels
  looks_hash   bigint,                                  -- near for two files that look alike
  size_bytes   bigint NOT NULL CHECK (size_bytes BETWEEN 1 AND 10485760),
  content_type text NOT NULL CHECK (content_type IN ('application/pdf', 'image/png', 'image/jpeg', 'image/webp')),
  filename     text NOT NULL CHECK (length(filename) <= 200),
  storage_key  text NOT NULL,
  uploaded_by  uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT evidence_account_fk FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE RESTRICT
);
--bun:split
CREATE INDEX evidence_sha256_idx ON evidence (tenant_id, sha256);
--bun:split
CREATE INDEX evidence_pixel_hash_idx ON evidence (tenant_id, pixel_hash) WHERE pixel_hash IS NOT NULL;
--bun:split
CREATE INDEX evidence_account_idx ON evidence (tenant_id, account_id, created_at DESC);
--bun:split
-- Pictures that look alike are looked for among the tenant's latest, in the index alone.
CREATE INDEX evidence_looks_idx ON evidence (tenant_id, created_at DESC) INCLUDE (id, account_id, looks_hash) WHERE looks_hash IS NOT NULL;
--bun:split
SELECT secure_table('evidence', 'account_id', 'SELECT, INSERT');
--bun:split
CREATE TRIGGER evidence_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON evidence EXECUTE FUNCTION refuse_change();
