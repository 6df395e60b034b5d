package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// benchClient is one client with one connection that is kept. http.Client would take as much of the machine as the server
// that is measured: it has two goroutines for each connection.
type benchClient struct {
	address string
	conn    net.Conn
	out     *bufio.Writer
	in      *bufio.Reader
}

func newBenchClient(ctx context.Context, address string) (*benchClient, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &benchClient{address, conn, bufio.NewWriter(conn), bufio.NewReader(conn)}, nil
}

func (c *benchClient) close() { c.conn.Close() }

// sending is one call of the API.
type sending struct {
	method, path, token string
	body                []byte
	key                 string // its Idempotency-Key; empty: none
}

// call sends a request and waits for its answer. Any status of 300 or more is an error.
func (c *benchClient) call(ctx context.Context, in sending) error {
	r, err := http.NewRequestWithContext(ctx, in.method, "http://"+c.address+in.path, bytes.NewReader(in.body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+in.token)
	if in.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if in.key != "" {
		r.Header.Set("Idempotency-Key", in.key)
	}
	if err := errors.Join(r.Write(c.out), c.out.Flush()); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.in, r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode < http.StatusMultipleChoices {
		_, err := io.Copy(io.Discard, answer.Body)
		return err
	}
	text, err := io.ReadAll(answer.Body)
	return errors.Join(fmt.Errorf("%s %s: %s: %s", in.method, in.path, answer.Status, text), err)
}
