DROP INDEX fx_conversions_gain_idx;
--bun:split
ALTER TABLE fx_conversions DROP COLUMN gain;
