package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"
)

// callCommand makes one call of the API where no server runs, or is to be asked. What the call may do, does and answers is
// decided by the handler that servers have, so a command line gets the results that HTTP gets (S0-57). The caller is the
// owner of a token, not the operator: nobody approves his own claim because he can log in on the machine.
type callCommand struct {
	Method string `arg:"" enum:"GET,POST,PUT,PATCH,DELETE" help:"GET, POST, PUT, PATCH or DELETE."`
	Path   string `arg:"" help:"What follows /api/v1, such as '/billing/payments/?status=pending_approval'."`
	Body   string `arg:"" optional:"" help:"JSON. With - it is read from standard input, where no other process sees it."`
	Key    string `help:"Idempotency-Key, for calls that have one."`
}

// callToken names the variable with the caller's access token or API token. It is no flag: other processes see those.
const callToken = "COUNTERSIGN_TOKEN"

// Run is called by kong. The answer goes to standard output; one with a status of 400 or more is an error too.
func (c callCommand) Run(ctx context.Context) error {
	return withProject(ctx, func(p *project) error {
		listener, err := listen("127.0.0.1:0")
		if err != nil {
			return err
		}
		defer listener.Close()
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error {
			return p.serve(ctx, listener, func(addr string) {
				group.Go(func() error {
					defer stop()
					return c.send(ctx, "http://"+addr)
				})
			})
		})
		return group.Wait()
	})
}

// send makes the call at a server and prints its answer.
func (c callCommand) send(ctx context.Context, server string) error {
	var body io.Reader = strings.NewReader(c.Body)
	if c.Body == "-" {
		body = os.Stdin
	}
	r, err := http.NewRequestWithContext(ctx, c.Method, server+apiPrefix+c.Path, body)
	if err != nil {
		return fmt.Errorf("%s %s: expected a path such as /billing/payments/: %w", c.Method, c.Path, err)
	}
	r.Header.Set("User-Agent", "countersign call")
	if c.Body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token := os.Getenv(callToken); token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if c.Key != "" {
		r.Header.Set("Idempotency-Key", c.Key)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("%s %s: %w", c.Method, c.Path, err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(os.Stdout, answer.Body); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", c.Method, c.Path, err)
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s was answered %s", c.Method, c.Path, answer.Status)
	}
	return nil
}
