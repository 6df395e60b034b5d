package statements

import "countersign/internal/errs"

// ErrPeriod means that a statement is asked for that would end before it begins.
var ErrPeriod = errs.Invalid("period_reversed", "The period ends before it begins.")
