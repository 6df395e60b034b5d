-- The details of a payment change with what its provider says. It is found by what they say now: a number that was sealed
-- and is not theirs any more must not lead to it.
GRANT DELETE ON payment_terms TO countersign_app;
