package credits

import "countersign/internal/errs"

// ErrAccountRequired means that staff did not say whose credits they ask for.
var ErrAccountRequired = errs.Invalid("account_required", "Say which account: ?account=<id>.")
