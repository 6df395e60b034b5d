package workers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// Queue is the connection to Redis and what is counted about the work that goes through it. A process opens one.
type Queue struct {
	redis     redis.UniversalClient
	client    atomic.Pointer[asynq.Client]
	inspector *asynq.Inspector
	stats     *stats
}

// silent drops what go-redis would print about each connection that it cannot open. Whoever asked for it gets the error.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

var silence sync.Once

// Open connects to Redis lazily. The forms of the URL:
//
//	redis://[user:password@]host:port[/db]    one server; rediss:// with TLS
//	redis-socket:///path?db=0                 one server behind a socket
//	redis-sentinel://[:password@]host:port,host:port?master=name
//	redis-cluster://[user:password@]host:port,host:port    rediss-cluster:// with TLS
//
// The password of a sentinel URL is that of the sentinels and of the servers behind them.
func Open(redisURL string) (*Queue, error) {
	silence.Do(func() { redis.SetLogger(silent{}) })
	opt, err := parseURL(redisURL)
	if err != nil {
		return nil, err
	}
	client, ok := opt.MakeRedisClient().(redis.UniversalClient)
	if !ok {
		return nil, fmt.Errorf("redis url: asynq gave no client for a %T", opt)
	}
	q := &Queue{redis: client, inspector: asynq.NewInspectorFromRedisClient(client), stats: newStats()}
	q.renew()
	return q, nil
}

// parseURL never repeats the URL in an error: it may hold a password.
func parseURL(text string) (asynq.RedisConnOpt, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" && u.Scheme != "redis-socket" {
		return nil, errors.New("redis url: this is not a URL such as redis://127.0.0.1:6379/0")
	}
	password, _ := u.User.Password()
	switch u.Scheme {
	case "redis-cluster", "rediss-cluster":
		opt := asynq.RedisClusterClientOpt{Addrs: strings.Split(u.Host, ","), Username: u.User.Username(), Password: password}
		if u.Scheme == "rediss-cluster" {
			host, _, err := net.SplitHostPort(opt.Addrs[0])
			if err != nil {
				return nil, errors.New("redis url: each node of a cluster is a host and a port")
			}
			opt.TLSConfig = &tls.Config{ServerName: host}
		}
		return opt, nil
	}
	parsed, err := asynq.ParseRedisURI(text)
	if err != nil {
		return nil, errors.New("redis url: the scheme is one of redis, rediss, redis-socket, redis-sentinel, redis-cluster and rediss-cluster, and the database is a number")
	}
	switch opt := parsed.(type) { // asynq leaves these out
	case asynq.RedisClientOpt:
		opt.Username = u.User.Username()
		return opt, nil
	case asynq.RedisFailoverClientOpt:
		if opt.MasterName == "" {
			return nil, errors.New("redis url: a sentinel URL names its master, as in ?master=name")
		}
		opt.Password = password
		return opt, nil
	}
	return parsed, nil
}

// Close closes the connections. Nothing may use the queue afterwards.
func (q *Queue) Close() error { return q.redis.Close() }

// Ready says whether Redis answers. Without it nothing is lost, but work waits.
func (q *Queue) Ready(ctx context.Context) error {
	if err := q.redis.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	return nil
}

// renew replaces the client, which announces each queue in Redis only once: after a flush nobody would see the queues.
func (q *Queue) renew() { q.client.Store(asynq.NewClientFromRedisClient(q.redis)) }

// enqueue hands a task to asynq. A task whose id is there already is as good as enqueued.
//
// asynq may retry only once, and only what a killed process left behind: handlers note failures in the outbox and never
// return them. Without that one retry, what is left would be archived, and an archived id is taken for months.
func (q *Queue) enqueue(ctx context.Context, task *asynq.Task, queue, id string, timeout time.Duration) error {
	whole := timeout.Truncate(time.Second) + time.Second // asynq counts seconds, and none would mean half an hour
	_, err := q.client.Load().EnqueueContext(ctx, task, asynq.Queue(queue), asynq.TaskID(id), asynq.MaxRetry(1), asynq.Timeout(whole))
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("enqueue %s: %w", task.Type(), err)
	}
	return nil
}

// depth gives how many tasks wait for a worker in the queues.
func (q *Queue) depth(queues map[string]int) (int, error) {
	total := 0
	for name := range queues {
		info, err := q.info(name)
		if err != nil {
			return 0, fmt.Errorf("read queue %s: %w", name, err)
		}
		total += info.Pending
	}
	return total, nil
}

// info gives what Redis knows of a queue: nothing when no task was ever enqueued there, or Redis was emptied. asynq
// would call that an error, of a type that only asynq can tell from others.
func (q *Queue) info(name string) (*asynq.QueueInfo, error) {
	known, err := q.inspector.Queues()
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	if !slices.Contains(known, name) {
		return &asynq.QueueInfo{}, nil
	}
	return q.inspector.GetQueueInfo(name)
}
