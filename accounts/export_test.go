package accounts

// AuthenticateStatement lets tests look at the plan of the hottest statement.
const AuthenticateStatement = authenticate
