package workers

import (
	"testing"
	"time"

	"github.com/uptrace/bun"

	"countersign/internal/outbox"
)

// TestBackoff holds how long a row rests after its nth failed run (S1-61): 5 s, doubling to an hour, each a quarter more or
// less.
func TestBackoff(t *testing.T) {
	t.Parallel()
	doubled := []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second,
		640 * time.Second, 1280 * time.Second, 2560 * time.Second, time.Hour, time.Hour, time.Hour}
	rests := map[int]time.Duration{30: time.Hour, 1000: time.Hour, 1 << 40: time.Hour}
	for i, rest := range doubled {
		rests[i+1] = rest
	}
	cfg := Config{DB: &bun.DB{}, DatabaseURL: "unused", Queue: &Queue{}, Outbox: &outbox.Outbox{}}
	if err := cfg.fill(); err != nil {
		t.Fatal(err)
	}
	for attempts, rest := range rests {
		least, most := time.Duration(1<<62), time.Duration(0)
		for range 2000 {
			d := cfg.Backoff(attempts)
			least, most = min(least, d), max(most, d)
		}
		if least < rest*3/4 || most >= rest*5/4 {
			t.Errorf("after %d failed runs a row rests for %s to %s, want %s, a quarter more or less", attempts, least, most, rest)
		}
		if least > rest*4/5 || most < rest*6/5 {
			t.Errorf("after %d failed runs all rows rest for %s to %s: what failed together comes back together", attempts, least, most)
		}
	}
}
