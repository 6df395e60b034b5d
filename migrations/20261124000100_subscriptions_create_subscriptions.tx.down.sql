DROP TABLE subscription_months;
--bun:split
DROP FUNCTION subscription_months_guard();
--bun:split
DROP TABLE subscriptions;
--bun:split
DROP FUNCTION subscriptions_guard();
