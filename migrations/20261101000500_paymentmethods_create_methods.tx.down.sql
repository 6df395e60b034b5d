DROP TABLE account_payment_methods;
--bun:split
DROP TABLE payment_method_configs;
--bun:split
DROP DOMAIN payment_method;
