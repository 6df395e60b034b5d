DROP TABLE number_series;
--bun:split
DROP TABLE tenants;
