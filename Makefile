# What people and CI run. `make help` lists it.
GO ?= go
# where `make run` serves, such as ADDR=127.0.0.1:8081
ADDR ?=
export CGO_ENABLED ?= 0
LDFLAGS = -X main.version=$(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

.PHONY: help run test build check race bench fmt assets

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: build ## start everything on this machine, with a demo: console, API, worker, database, queue
	@$(if $(ADDR),COUNTERSIGN_ADDR=$(ADDR)) ./countersign run

build: ## build the one binary
	@test -x countersign || echo "Building countersign. The first time everything is compiled, which takes a minute or more."
	@$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o countersign ./cmd/countersign

test: ## everything that CI runs: formatting, vet, all tests on real parts
	@.ci/test

check: test ## the same as test

race: ## all tests with the race detector; needs a C compiler
	CGO_ENABLED=1 $(GO) test -race ./...

bench: build ## measure this build against pgbench in the same run and print ratios
	@./countersign bench

fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

assets: ## rebuild the console's style sheets, scripts and fonts; needs npm
	templates/assets/build.sh
