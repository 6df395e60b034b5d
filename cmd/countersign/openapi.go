package main

import (
	"os"
	"time"

	"countersign/internal/database"
	"countersign/internal/settings"
	"countersign/internal/web"
)

// openAPICommand prints the document of the routes that this build serves. It needs no database.
type openAPICommand struct{}

// Run is called by kong.
func (openAPICommand) Run() error {
	s, err := settings.Load()
	if err != nil {
		return err
	}
	db, err := database.Open(database.Config{URL: "postgres://127.0.0.1:1/none"}) // opened lazily, never used
	if err != nil {
		return err
	}
	defer db.Close()
	if s.DataDir, err = os.MkdirTemp("", "countersign-openapi-"); err != nil { // so that no folder is made for evidence
		return err
	}
	defer os.RemoveAll(s.DataDir)
	s.SecretKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	p, err := wire(s, db, time.Now, false)
	if err != nil {
		return err
	}
	schema, err := web.OpenAPI("Countersign", version, apiPrefix, p.routes())
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(append(schema, '\n'))
	return err
}
