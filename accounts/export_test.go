package accounts

import "context"

// AuthenticateStatement lets tests look at the plan of the hottest statement.
const AuthenticateStatement = authenticate

// EndWindow ends the windows in which attempts to sign in from an address and as a user are counted, as time does.
func (s *Service) EndWindow(ctx context.Context, ip, email string) error {
	_, err := s.db.ExecContext(ctx, "UPDATE login_throttle SET opens_at = now() WHERE subject IN (?, ?)", s.subject("ip", network(ip)), s.subject("user", email))
	return err
}

// Attempt counts an attempt to sign in, and looks at no password.
func (s *Service) Attempt(ctx context.Context, ip, email string) error {
	_, err := s.admit(ctx, ip, email)
	return err
}
