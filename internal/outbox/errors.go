package outbox

import (
	"errors"

	"countersign/internal/errs"
)

var (
	// ErrJobNotDead means that the job has been done or will still be tried.
	ErrJobNotDead = errs.Conflict("job_not_dead", "Only a dead job can be restarted. This one is done or will be tried again by itself.")
	// ErrTaskNeedsEvent means that the task works on what an event tells, so there is nothing to run it on by hand.
	ErrTaskNeedsEvent = errs.Conflict("task_needs_event", "This task works on events and cannot be run by hand. Its dead jobs can be restarted.")
)

// ErrOvertaken means that the row is done, dead or in the hands of a later run: this run's effect must not be kept.
var ErrOvertaken = errors.New("this run of the job has been overtaken")
