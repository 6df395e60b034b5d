-- What a customer got above what the rate of somebody else makes, as a part of that; an account's gains of a week are bounded together.
-- Conversions of before, and those of programs of the version before, count as if they had gained nothing.
ALTER TABLE fx_conversions ADD COLUMN gain numeric(30,14) NOT NULL DEFAULT 0, ADD CONSTRAINT fx_conversions_gain_check CHECK (gain >= 0);
--bun:split
CREATE INDEX fx_conversions_gain_idx ON fx_conversions (tenant_id, account_id, created_at) INCLUDE (id, gain) WHERE gain > 0;
