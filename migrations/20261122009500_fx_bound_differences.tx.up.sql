-- What the bank is said to have given stays near what the rate makes, and somebody says why it differs. Not valid for
-- conversions of before: they stand as they are.
ALTER TABLE fx_conversions
  ADD CONSTRAINT fx_conversions_given_check CHECK (abs(difference_minor) <= 1 OR abs(difference_minor) * 20 <= computed_minor) NOT VALID,
  ADD CONSTRAINT fx_conversions_difference_reason_check CHECK (difference_minor = 0 OR reason <> '') NOT VALID;
