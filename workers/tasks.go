package workers

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/database"
	"countersign/internal/outbox"
	"countersign/tenancy"
)

// bookkeeping is how long writing down the end of a run may take, after the run's own time is up.
const bookkeeping = 10 * time.Second

// tickCause begins the cause of rows that the clock wrote.
const tickCause = "tick:"

// runTask starts the row's run, does it and writes down how it ended.
func (s *server) runTask(ctx context.Context, name string, t ticket) {
	ctx = asSystem(ctx, t, name)
	log := s.Logger.With("task", name, "tenant", t.Tenant, "job", t.ID)
	task, ok := s.reg.tasks[name]
	if !ok { // a newer or older version knows it
		log.WarnContext(ctx, "this version does not know the task, it is left to another worker")
		return
	}
	var row outbox.Run
	err := tenancy.InTx(ctx, s.DB, func(ctx context.Context, tx bun.Tx) (err error) {
		row, err = outbox.Start(ctx, tx, outbox.Handover{ID: t.ID, Task: name, Attempts: t.Attempts}, task.Timeout+s.Grace)
		return err
	})
	switch {
	case errors.Is(err, outbox.ErrOvertaken):
		return // done, dead or in other hands
	case err != nil:
		log.WarnContext(ctx, "job could not be started, it will be handed over again", "error", err)
		return
	}
	began := time.Now()
	result := s.finish(ctx, task, row, s.run(ctx, task, row))
	s.Queue.stats.observe(name, result, time.Since(began))
}

// run is one attempt. Its error is nil when the row is marked as done.
func (s *server) run(ctx context.Context, task apps.Task, row outbox.Run) error {
	if row.Attempts > task.MaxAttempts {
		return errLost
	}
	ctx, cancel := context.WithTimeout(ctx, task.Timeout)
	defer cancel()
	var marked atomic.Bool
	done := func(ctx context.Context, tx bun.Tx) error {
		if err := s.done(ctx, tx, task, row); err != nil {
			return err
		}
		database.AfterCommit(ctx, func() { marked.Store(true) })
		return nil
	}
	err := s.protect(ctx, task.Name, func(ctx context.Context) error {
		return task.Run(ctx, apps.Job{ID: row.ID, Task: row.Task, Cause: row.Cause, Payload: row.Payload, Done: done})
	})
	switch {
	case marked.Load():
		if err != nil {
			s.Logger.WarnContext(ctx, "a task failed after its effect was committed", "task", task.Name, "job", row.ID, "error", err)
		}
		return nil
	case err != nil:
		return err
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), bookkeeping)
	defer cancel()
	return tenancy.InTx(ctx, s.DB, func(ctx context.Context, tx bun.Tx) error { return s.done(ctx, tx, task, row) })
}

// done marks the row and, when the clock wrote it, writes the rows of the tasks that come after it in the same tick.
func (s *server) done(ctx context.Context, tx bun.Tx, task apps.Task, row outbox.Run) error {
	if !database.InTransaction(ctx) {
		return errors.New("Job.Done needs the context of the transaction that it gets")
	}
	if err := outbox.Finish(ctx, tx, row); err != nil {
		return err
	}
	if strings.HasPrefix(row.Cause, tickCause) {
		for _, follower := range s.reg.followers[task.Name] {
			s.Outbox.Schedule(ctx, tenancy.ID(ctx), follower, row.Cause)
		}
	}
	return nil
}

// errLost is the end of a row whose runs neither succeed nor fail: each took its worker down with it.
var errLost = errors.New("every run of this job ended without a word, as if it had killed its worker")

// finish writes down how a run ended that did not mark its row.
func (s *server) finish(ctx context.Context, task apps.Task, row outbox.Run, err error) result {
	if err == nil {
		return resultDone
	}
	if errors.Is(err, outbox.ErrOvertaken) {
		return resultOvertaken
	}
	stopped := wasInterrupted(ctx, err)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookkeeping)
	defer cancel()
	dead := !stopped && row.Attempts >= task.MaxAttempts
	noted := tenancy.InTx(ctx, s.DB, func(ctx context.Context, tx bun.Tx) error {
		switch {
		case stopped:
			return outbox.Release(ctx, tx, row)
		case dead:
			return outbox.Bury(ctx, tx, row, err.Error())
		default:
			return outbox.Fail(ctx, tx, row, err.Error(), s.Backoff(row.Attempts))
		}
	})
	log := s.Logger.With("task", task.Name, "tenant", tenancy.ID(ctx), "job", row.ID, "attempt", row.Attempts, "error", err)
	switch {
	case errors.Is(noted, outbox.ErrOvertaken):
		return resultOvertaken
	case noted != nil:
		log.ErrorContext(ctx, "job failed, which could not be written down; it will be handed over again", "cause", noted)
		return resultFailed
	case stopped:
		log.InfoContext(ctx, "job given back, the worker stops")
		return resultStopped
	case dead:
		log.ErrorContext(ctx, "job is dead: it failed too often and waits for somebody to restart it")
		return resultDead
	default:
		log.WarnContext(ctx, "job failed and will be tried again")
		return resultFailed
	}
}
