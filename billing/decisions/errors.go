package decisions

import "countersign/internal/errs"

var (
	// ErrDigestRequired means that a decision does not say what it was based on.
	ErrDigestRequired = errs.Invalid("digest_required", "Send the digest of what you saw: it is part of the object you decide about.")
	// ErrAlreadyDecided means that this person has decided about this subject before.
	ErrAlreadyDecided = errs.Conflict("already_approved", "You have already decided about this. A second approval is for somebody else.")
	// ErrPolicyRank means that two rules of the ladder have one rank.
	ErrPolicyRank = errs.Conflict("policy_rank_taken", "Another rule has this rank.")
	// ErrUnknownPermission means that a rule asks for a permission that nobody can hold.
	ErrUnknownPermission = errs.Invalid("unknown_permission", "There is no such permission. Ask for the list of permissions.")
	// ErrBandCrossed means that a rule's band ends before it begins.
	ErrBandCrossed = errs.Invalid("band_crossed", "The band must not end below its beginning.")
	// ErrNotUsed means that a rule for a gateway's payments asks for something that nobody would look at.
	ErrNotUsed = errs.Invalid("not_used_by_gateway", "The gateway {{.gateway}} does not use this. Leave it out.")
)
