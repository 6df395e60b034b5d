-- Of what customers have saved, what is personal is sealed (S2-137): details keeps only how it ends.
ALTER TABLE account_payment_methods ADD COLUMN sensitive bytea;
