DROP TABLE decisions;
--bun:split
DROP TABLE approval_policies;
--bun:split
DROP DOMAIN decision_verdict;
--bun:split
DROP DOMAIN decision_subject;
