package statements

// Query is for tests that ask how it is planned.
const Query = statementQuery
