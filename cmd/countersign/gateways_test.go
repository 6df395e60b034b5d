package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"countersign/billing/billingtest"
)

// TestEveryGatewayIsTried finds gateways of the program that the suite of the contract does not run against (S0-26): the
// tests of each one's package run it, and where a package holds several they name each.
func TestEveryGatewayIsTried(t *testing.T) {
	t.Parallel()
	registry := program(t, billingtest.New(t)).billing.Gateways.Registry()
	byPackage := map[string][]string{}
	for _, name := range registry.Names() {
		g, _ := registry.Get(name)
		path := reflect.TypeOf(g).Elem().PkgPath()
		byPackage[path] = append(byPackage[path], name)
	}
	if len(byPackage) < 4 {
		t.Errorf("the gateways are only %v", byPackage)
	}
	for path, names := range byPackage {
		dir := filepath.Join("../..", strings.TrimPrefix(path, "countersign/"))
		makers, tried := makersOf(t, dir), triedIn(t, dir)
		switch {
		case !slices.Contains(tried, "gatewaystest.Suite"):
			t.Errorf("no test of %s runs gatewaystest.Suite against %v", path, names)
		case len(names) > 1:
			for _, maker := range makers {
				if call := filepath.Base(path) + "." + maker; !slices.Contains(tried, call) {
					t.Errorf("gatewaystest.Suite does not run against what %s makes", call)
				}
			}
			if len(makers) != len(names) {
				t.Errorf("%s holds %v, and they are made by %v", path, names, makers)
			}
		}
	}
}

// makersOf are the functions of a package that make its gateways.
func makersOf(t *testing.T, dir string) (makers []string) {
	t.Helper()
	for _, file := range parsed(t, filepath.Join(dir, "*.go")) {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !f.Name.IsExported() || f.Type.Results == nil {
				continue
			}
			if made, ok := f.Type.Results.List[0].Type.(*ast.StarExpr); ok {
				if of, ok := made.X.(*ast.Ident); ok && of.Name == "Gateway" {
					makers = append(makers, f.Name.Name)
				}
			}
		}
	}
	return makers
}

// triedIn are the functions of other packages that are called by the tests of a package which call the suite.
func triedIn(t *testing.T, dir string) (all []string) {
	t.Helper()
	for _, file := range parsed(t, filepath.Join(dir, "*_test.go")) {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(f.Name.Name, "Test") {
				continue
			}
			var calls []string
			ast.Inspect(f, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					if selected, ok := call.Fun.(*ast.SelectorExpr); ok {
						if from, ok := selected.X.(*ast.Ident); ok {
							calls = append(calls, from.Name+"."+selected.Sel.Name)
						}
					}
				}
				return true
			})
			if slices.Contains(calls, "gatewaystest.Suite") {
				all = append(all, calls...)
			}
		}
	}
	return all
}

// parsed are the source files of a pattern.
func parsed(t *testing.T, pattern string) (files []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}
