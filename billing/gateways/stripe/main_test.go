package stripe_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/testkit"
)

func TestMain(m *testing.M) {
	ctx, cancel := context.WithCancel(context.Background())
	var mock *exec.Cmd
	mockAddress = sync.OnceValues(func() (at string, err error) {
		mock, at, err = runMock(ctx)
		return at, err
	})
	code := testkit.Main(m)
	cancel()
	if mock != nil {
		mock.Wait()
	}
	os.Exit(code)
}

// mockAddress starts stripe-mock when it is asked for the first time: it takes seconds to read Stripe's description.
var mockAddress func() (string, error)

// errNoMock means that stripe-mock is not installed.
var errNoMock = errors.New("no stripe-mock")

// startMock gives the address of stripe-mock v0.183.0, the one for the API version of the library.
func startMock(t *testing.T) string {
	t.Helper()
	address, err := mockAddress()
	switch {
	case errors.Is(err, errNoMock):
		testkit.Lacks(t, "stripe-mock: go install github.com/stripe/stripe-mock@v0.183.0")
	case err != nil:
		t.Fatal(err)
	}
	return address
}

func runMock(ctx context.Context) (*exec.Cmd, string, error) {
	path, err := exec.LookPath("stripe-mock")
	if err != nil {
		gopath, _ := exec.CommandContext(ctx, "go", "env", "GOPATH").Output()
		path = filepath.Join(strings.TrimSpace(string(gopath)), "bin", "stripe-mock")
	}
	if _, err := os.Stat(path); err != nil {
		return nil, "", errNoMock
	}
	var addresses [2]string
	var open [2]net.Listener
	for i := range addresses {
		l, err := net.Listen("tcp", "127.0.0.2:0") // where nobody else's connections begin before it is taken
		if err != nil {
			return nil, "", err
		}
		addresses[i] = l.Addr().String()
		open[i] = l
	}
	for _, l := range open {
		l.Close()
	}
	cmd := exec.CommandContext(ctx, path, "-http-addr", addresses[0], "-https-addr", addresses[1], "-strict-version-check")
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	for range 600 {
		if conn, err := net.DialTimeout("tcp", addresses[0], time.Second); err == nil {
			conn.Close()
			return cmd, "http://" + addresses[0], nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return cmd, "", errors.New("stripe-mock does not answer")
}
