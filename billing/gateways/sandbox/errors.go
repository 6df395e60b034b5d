package sandbox

import "countersign/internal/errs"

// ErrOrderNotWaiting means that the payer of a sandbox order has nothing to do, or has done it.
var ErrOrderNotWaiting = errs.Conflict("sandbox_order_not_waiting", "This order does not wait for its payer.")
