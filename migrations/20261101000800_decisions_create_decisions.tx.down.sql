DROP TABLE decisions;
--bun:split
DROP TABLE approval_policies;
