package gateways

import "context"

// Unsupported has no operation. Adapters embed it and write what they have:
// what they leave out gives ErrUnsupported.
type Unsupported struct{}

// Begin is not supported.
func (Unsupported) Begin(context.Context, Credentials, Order) (Result, error) {
	return Result{}, ErrUnsupported
}

// Capture is not supported.
func (Unsupported) Capture(context.Context, Credentials, Operation) (Result, error) {
	return Result{}, ErrUnsupported
}

// Release is not supported.
func (Unsupported) Release(context.Context, Credentials, Operation) (Result, error) {
	return Result{}, ErrUnsupported
}

// Refund is not supported.
func (Unsupported) Refund(context.Context, Credentials, Operation) (Result, error) {
	return Result{}, ErrUnsupported
}

// FetchStatus is not supported.
func (Unsupported) FetchStatus(context.Context, Credentials, Query) (Result, error) {
	return Result{}, ErrUnsupported
}

// HandleCallback is not supported.
func (Unsupported) HandleCallback(context.Context, Credentials, Callback) (Message, error) {
	return Message{}, ErrUnsupported
}
