package workers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"countersign/internal/apps"
)

// answer does what waits behind a doorbell, unless somebody is at it already.
func (s *server) answer(ctx context.Context, name, payload string) error {
	tenant, err := uuid.Parse(payload)
	if err != nil {
		return fmt.Errorf("%w: payload of doorbell %s: %w", asynq.SkipRetry, name, err)
	}
	bell, ok := s.reg.doorbells[name]
	if !ok {
		return nil // another version's
	}
	lock, err := takeLock(ctx, s.Queue.redis, "countersign:doorbell:{"+name+":"+tenant.String()+"}", s.BellLock)
	if err != nil || lock == nil {
		return nil // the sweep rings again while something waits
	}
	ctx = asSystem(ctx, ticket{Tenant: tenant}, name)
	began := time.Now()
	result, err := s.open(ctx, bell)
	s.Queue.stats.observe(name, result, time.Since(began))
	if result == resultFailed {
		s.Logger.ErrorContext(ctx, "doorbell failed and will be rung again", "doorbell", name, "tenant", tenant, "error", err)
		lock.keep(ctx, s.Pause)
		return nil
	}
	lock.release(ctx)
	return nil
}

// open runs the doorbell's work twice: a ring that came after the first look and before its end was refused, because
// the work was still going on.
func (s *server) open(ctx context.Context, bell apps.Doorbell) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, bell.Timeout)
	defer cancel()
	for range 2 {
		err := s.protect(ctx, bell.Name, bell.Run)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return resultStopped, err // what is left still waits
		default:
			return resultFailed, err
		}
	}
	return resultDone, nil
}

// lock keeps two handlers from doing the same doorbell's work side by side. It is there for speed: work behind a
// doorbell is safe without it. It lives in Redis for a short time and is renewed while its holder lives.
type lock struct {
	redis redis.UniversalClient
	key   string
	token string
	stop  context.CancelFunc
	ended chan struct{}
}

var (
	renewLock = redis.NewScript(`if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("PEXPIRE", KEYS[1], ARGV[2]) end return 0`)
	dropLock  = redis.NewScript(`if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end return 0`)
)

// takeLock gives nil when somebody else holds it.
func takeLock(ctx context.Context, client redis.UniversalClient, key string, lives time.Duration) (*lock, error) {
	l := &lock{redis: client, key: key, token: uuid.NewString(), ended: make(chan struct{})}
	err := client.SetArgs(ctx, key, l.token, redis.SetArgs{Mode: "NX", TTL: lives}).Err()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("take lock: %w", err)
	}
	ctx, l.stop = context.WithCancel(ctx)
	go func() {
		defer close(l.ended)
		for sleep(ctx, lives/3) {
			renewLock.Run(ctx, l.redis, []string{l.key}, l.token, lives.Milliseconds()) // lost or not, the work goes on
		}
	}()
	return l, nil
}

// release lets others in. What Redis does not hear ends by itself.
func (l *lock) release(ctx context.Context) {
	l.end(ctx, func(ctx context.Context) { dropLock.Run(ctx, l.redis, []string{l.key}, l.token) })
}

// keep keeps others out for a while.
func (l *lock) keep(ctx context.Context, d time.Duration) {
	l.end(ctx, func(ctx context.Context) { renewLock.Run(ctx, l.redis, []string{l.key}, l.token, d.Milliseconds()) })
}

func (l *lock) end(ctx context.Context, f func(context.Context)) {
	l.stop()
	<-l.ended
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), network)
	defer cancel()
	f(ctx)
}
