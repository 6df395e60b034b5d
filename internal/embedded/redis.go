package embedded

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// Redis speaks the Redis protocol on the loopback interface, from inside this
// process or from a child. What it holds is gone with it.
type Redis struct {
	addr  string
	pid   int
	close func()
}

// StartRedis starts a Redis inside this process, on a free port of 127.0.0.1.
// Keys expire by the machine's clock. It runs at about a tenth of a real
// server's rate.
func StartRedis() (*Redis, error) {
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true)
	if err := m.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("start the Redis in this process: %w", err)
	}
	return &Redis{addr: m.Addr(), close: m.Close}, nil
}

// FindRedisServer looks for a real redis-server on this machine.
func FindRedisServer() (path string, ok bool) {
	path, err := exec.LookPath("redis-server")
	return path, err == nil
}

// StartRealRedis starts the given redis-server as a child that keeps everything
// in memory, on a free port of 127.0.0.1. Tests use it to prove what they prove
// on the Redis in this process.
func StartRealRedis(ctx context.Context, binary string) (*Redis, error) {
	dir, err := os.MkdirTemp("", "countersign-redis-")
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	port, err := freePort()
	if err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	var output bytes.Buffer
	cmd := exec.Command(binary, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no")
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = account{}.attributes()
	ended, err := startOnOwnThread(cmd)
	if err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	gone := make(chan struct{})
	go func() {
		<-ended
		close(gone)
	}()
	r := &Redis{addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), pid: cmd.Process.Pid}
	r.close = sync.OnceFunc(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-gone:
		case <-time.After(quitGrace):
			cmd.Process.Kill()
			<-gone
		}
		os.RemoveAll(dir)
	})
	for !r.answers(ctx) {
		select {
		case <-gone:
			r.Close()
			return nil, fmt.Errorf("%s ended at once%s", binary, indentLast(output.String(), 12))
		case <-ctx.Done():
			r.Close()
			return nil, fmt.Errorf("wait for %s to answer: %w", binary, ctx.Err())
		case <-time.After(pollEvery):
		}
	}
	return r, nil
}

// Addr is host and port.
func (r *Redis) Addr() string { return r.addr }

// PID is that of the child; zero inside this process.
func (r *Redis) PID() int { return r.pid }

// Close ends the server and drops what it held. Closing twice is harmless.
func (r *Redis) Close() { r.close() }

func (r *Redis) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", r.addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	reply := make([]byte, 16)
	n, err := conn.Read(reply)
	return err == nil && string(reply[:n]) == "+PONG\r\n"
}

// freePort asks the kernel for a port that nobody listens on. Another process
// may take it before its use; the caller's server then fails to start.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
