DROP TABLE credit_notes;
--bun:split
DROP FUNCTION credit_notes_guard();
