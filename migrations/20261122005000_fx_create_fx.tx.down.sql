DROP TABLE fx_reversals;
--bun:split
DROP TABLE fx_conversions;
--bun:split
DROP TABLE fx_rates;
