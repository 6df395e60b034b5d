package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/hibiken/asynq"

	"countersign/internal/auth"
	"countersign/tenancy"
)

// The types of tasks in asynq are the names of ours behind one of these.
const (
	taskType = "task:"
	bellType = "doorbell:"
)

// server takes tasks from Redis and runs their handlers.
type server struct {
	*Config
	reg     *registry
	asynq   *asynq.Server
	base    context.Context // of all handlers; ends when they had their time after a stop
	abandon context.CancelFunc
	running sync.WaitGroup
}

func newServer(cfg *Config, reg *registry) *server {
	s := &server{Config: cfg, reg: reg}
	s.base, s.abandon = context.WithCancel(context.Background()) // handlers outlive the context that Run was given
	s.asynq = asynq.NewServerFromRedisClient(cfg.Queue.redis, asynq.Config{
		Concurrency:       cfg.Concurrency,
		BaseContext:       func() context.Context { return s.base },
		TaskCheckInterval: cfg.Fetch,
		Queues:            reg.queues,
		ShutdownTimeout:   cfg.Shutdown,
		RetryDelayFunc:    func(int, error, *asynq.Task) time.Duration { return time.Second },
		Logger:            asynqLog{cfg.Logger},
		LogLevel:          asynq.ErrorLevel,
	})
	return s
}

func (s *server) start() error {
	if err := s.asynq.Start(asynq.HandlerFunc(s.handle)); err != nil {
		return fmt.Errorf("start asynq: %w", err)
	}
	return nil
}

// stop waits for running handlers, ends those that take too long, and waits until they have given their work back.
func (s *server) stop() {
	s.asynq.Shutdown()
	s.abandon()
	gone := make(chan struct{})
	go func() { s.running.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-time.After(bookkeeping):
		s.Logger.Error("a handler does not end although its time is up; its work will be handed over again")
	}
}

// handle does one task. What happened to it is written down in the outbox, so asynq hears of no failure but that of a
// task which nobody of ours has enqueued.
func (s *server) handle(ctx context.Context, t *asynq.Task) error {
	s.running.Add(1)
	defer s.running.Done()
	if name, ok := strings.CutPrefix(t.Type(), taskType); ok {
		var tk ticket
		if err := json.Unmarshal(t.Payload(), &tk); err != nil {
			return fmt.Errorf("%w: payload of %s: %w", asynq.SkipRetry, t.Type(), err)
		}
		s.runTask(ctx, name, tk)
		return nil
	}
	if name, ok := strings.CutPrefix(t.Type(), bellType); ok {
		return s.answer(ctx, name, string(t.Payload()))
	}
	return fmt.Errorf("%w: unknown type %s", asynq.SkipRetry, t.Type())
}

// protect calls run and turns a panic into an error.
func (s *server) protect(ctx context.Context, name string, run func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.Logger.ErrorContext(ctx, "panic", "task", name, "value", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return run(ctx)
}

// asSystem gives the context in which a task acts. What it does is found in the audit log under the request id.
func asSystem(ctx context.Context, t ticket, name string) context.Context {
	ctx = tenancy.AsSystem(ctx, t.Tenant, "worker "+name)
	if t.ID == uuid.Nil { // a doorbell
		return ctx
	}
	return auth.WithRequest(ctx, auth.Request{ID: t.ID.String()})
}

// wasInterrupted says whether a run failed because its worker was stopped or lost Redis for too long: its context was
// cancelled, not timed out. That is no failure of the task.
func wasInterrupted(ctx context.Context, err error) bool {
	return err != nil && errors.Is(ctx.Err(), context.Canceled)
}

// asynqLog passes asynq's own messages on.
type asynqLog struct{ logger *slog.Logger }

func (l asynqLog) Debug(args ...any) { l.logger.Debug("asynq: " + fmt.Sprint(args...)) }
func (l asynqLog) Info(args ...any)  { l.logger.Info("asynq: " + fmt.Sprint(args...)) }
func (l asynqLog) Warn(args ...any)  { l.logger.Warn("asynq: " + fmt.Sprint(args...)) }
func (l asynqLog) Error(args ...any) { l.logger.Error("asynq: " + fmt.Sprint(args...)) }
func (l asynqLog) Fatal(args ...any) { l.logger.Error("asynq: " + fmt.Sprint(args...)) }
