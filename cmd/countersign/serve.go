package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// serveCommand serves HTTP. Any number of these may run on one database.
type serveCommand struct{}

// Run is called by kong.
func (serveCommand) Run(ctx context.Context) error {
	return withProject(ctx, func(p *project) error {
		listener, err := listen(p.settings.Addr)
		if err != nil {
			return err
		}
		defer listener.Close()
		return p.serve(ctx, listener, func(addr string) { slog.Info("serving", "address", addr, "version", version) })
	})
}

// listen takes the address where HTTP will be served. Port 0 is any free one.
func listen(addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is taken by another program: stop it, or choose another address, such as any free port with COUNTERSIGN_ADDR=127.0.0.1:0", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on COUNTERSIGN_ADDR=%s: %w", addr, err)
	}
	return listener, nil
}

// serve answers HTTP until ctx ends, then lets running requests finish.
func (p *project) serve(ctx context.Context, listener net.Listener, ready func(addr string)) error {
	h, err := p.handler()
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: p.settings.RequestTimeout + 30*time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn)}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { p.bell.Run(ctx); return nil })
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.settings.ShutdownTimeout)
		defer cancel()
		return server.Shutdown(stop)
	})
	ready(listener.Addr().String())
	return group.Wait()
}
