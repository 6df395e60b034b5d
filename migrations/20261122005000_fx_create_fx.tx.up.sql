-- What one major unit of base was worth in major units of quote, who said so, and when it was so. A rate that was wrong
-- is followed by a better one of the same time.
CREATE TABLE fx_rates (
  tenant_id  uuid NOT NULL,
  id         uuid NOT NULL, -- version 7, so ids are in the order of recording
  base       currency_code NOT NULL,
  quote      currency_code NOT NULL,
  rate       numeric(20,10) NOT NULL CHECK (rate > 0),
  source     text NOT NULL CHECK (length(source) BETWEEN 1 AND 100), -- such as cbu.uz, or manual
  as_of      timestamptz NOT NULL,
  created_by uuid, -- null: a program
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT fx_rates_pair_check CHECK (base <> quote)
);
--bun:split
CREATE INDEX fx_rates_pair_idx ON fx_rates (tenant_id, base, quote, as_of DESC, id DESC);
--bun:split
SELECT secure_table('fx_rates', 'none', 'SELECT, INSERT');
--bun:split
CREATE TRIGGER fx_rates_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fx_rates EXECUTE FUNCTION refuse_change();
--bun:split
-- A customer's credit that was turned into credit of another currency (S1-58). The row keeps the rate itself: it is what
-- was used, whatever is recorded later.
CREATE TABLE fx_conversions (
  tenant_id        uuid NOT NULL,
  id               uuid NOT NULL, -- version 7, so ids are in the order of converting
  account_id       uuid NOT NULL,
  from_currency    currency_code NOT NULL,
  from_minor       billed_minor NOT NULL CHECK (from_minor > 0),
  to_currency      currency_code NOT NULL,
  to_minor         billed_minor NOT NULL CHECK (to_minor > 0),             -- what the customer got
  computed_minor   billed_minor NOT NULL CHECK (computed_minor > 0),       -- what the rate makes of it, rounded half up
  difference_minor bigint NOT NULL,                                        -- what he got beyond that
  unrounded        numeric(30,14) NOT NULL,                                -- what the rate makes of it, in major units of the target currency
  rounding         numeric(30,14) NOT NULL,                                -- what rounding added to that
  rate             numeric(20,10) NOT NULL CHECK (rate > 0),
  rate_base        currency_code NOT NULL,                                 -- one of it is rate of the other: from_currency was multiplied, to_currency divided
  rate_id          uuid,                                                   -- null: the rate was stated with the request
  rate_source      text NOT NULL CHECK (length(rate_source) BETWEEN 1 AND 100),
  rate_as_of       timestamptz NOT NULL,
  reason           text NOT NULL DEFAULT '' CHECK (length(reason) <= 500),
  created_at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT fx_conversions_account_fk FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE RESTRICT,
  CONSTRAINT fx_conversions_rate_fk FOREIGN KEY (tenant_id, rate_id) REFERENCES fx_rates ON DELETE RESTRICT,
  CONSTRAINT fx_conversions_pair_check CHECK (from_currency <> to_currency AND rate_base IN (from_currency, to_currency)),
  CONSTRAINT fx_conversions_difference_check CHECK (difference_minor = to_minor - computed_minor),
  CONSTRAINT fx_conversions_rounding_check CHECK (abs(rounding) <= 0.5)
);
--bun:split
CREATE INDEX fx_conversions_account_idx ON fx_conversions (tenant_id, account_id, id DESC);
--bun:split
SELECT secure_table('fx_conversions', 'account_id', 'SELECT, INSERT');
--bun:split
CREATE TRIGGER fx_conversions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fx_conversions EXECUTE FUNCTION refuse_change();
--bun:split
-- A conversion that was taken back, once and as a whole.
CREATE TABLE fx_reversals (
  tenant_id     uuid NOT NULL,
  conversion_id uuid NOT NULL,
  account_id    uuid NOT NULL,
  reason        text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
  created_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, conversion_id),
  CONSTRAINT fx_reversals_conversion_fk FOREIGN KEY (tenant_id, conversion_id) REFERENCES fx_conversions ON DELETE RESTRICT
);
--bun:split
SELECT secure_table('fx_reversals', 'account_id', 'SELECT, INSERT');
--bun:split
CREATE TRIGGER fx_reversals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fx_reversals EXECUTE FUNCTION refuse_change();
