package embedded_test

import (
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"countersign/internal/embedded"
	"countersign/internal/testkit"

	"github.com/redis/go-redis/v9"
)

func TestRedis(t *testing.T) {
	t.Parallel()
	servers := map[string]func(t *testing.T) (*embedded.Redis, error){
		"in this process": func(*testing.T) (*embedded.Redis, error) { return embedded.StartRedis() },
		"real": func(t *testing.T) (*embedded.Redis, error) {
			binary, ok := embedded.FindRedisServer()
			if !ok {
				testkit.Lacks(t, "redis-server")
			}
			return embedded.StartRealRedis(t.Context(), binary)
		},
	}
	for name, start := range servers {
		t.Run(name+": keeps a key and lets it expire by the clock", func(t *testing.T) {
			t.Parallel()
			server, err := start(t)
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			client := redis.NewClient(&redis.Options{Addr: server.Addr()})
			defer client.Close()
			if err := client.Set(t.Context(), "lock", "held", 300*time.Millisecond).Err(); err != nil {
				t.Fatal(err)
			}
			if got, err := client.Get(t.Context(), "lock").Result(); err != nil || got != "held" {
				t.Fatalf("Get = %q, %v, want \"held\"", got, err)
			}
			until(t, "the key has expired", func() bool { return client.Exists(t.Context(), "lock").Val() == 0 })
		})

		t.Run(name+": is on the loopback interface and gone after Close", func(t *testing.T) {
			t.Parallel()
			server, err := start(t)
			if err != nil {
				t.Fatal(err)
			}
			host, _, err := net.SplitHostPort(server.Addr())
			if err != nil || host != "127.0.0.1" {
				t.Errorf("Addr = %s, %v, want a port of 127.0.0.1", server.Addr(), err)
			}
			server.Close()
			server.Close()
			if conn, err := net.Dial("tcp", server.Addr()); err == nil {
				conn.Close()
				t.Error("somebody still listens")
			}
		})
	}

	t.Run("a program that is no Redis is reported", func(t *testing.T) {
		t.Parallel()
		binary, err := exec.LookPath("false")
		if err != nil {
			testkit.Lacks(t, "the program false")
		}
		if _, err := embedded.StartRealRedis(t.Context(), binary); err == nil {
			t.Error("no error")
		}
		if _, err := embedded.StartRealRedis(t.Context(), os.DevNull); err == nil {
			t.Error("no error for a file that cannot run")
		}
	})
}
