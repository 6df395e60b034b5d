package main

import (
	"fmt"
	"runtime"
)

// versionCommand prints the version.
type versionCommand struct{}

// Run is called by kong.
func (versionCommand) Run() error {
	fmt.Println("countersign", version, runtime.Version())
	return nil
}
