package money_test

import (
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// S1-11: no binary fractions between the wire and the disk. Tests and the generator count too, for what they compare
// with or write down would be wrong in the same way.
func TestSourceHasNoBinaryFractions(t *testing.T) {
	t.Parallel()
	var files []string
	for _, pattern := range []string{"*.go", "internal/gen/*.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			t.Fatalf("no files match %s", pattern)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range binaryFractions(source) {
			t.Errorf("%s mentions %s", file, found)
		}
	}
}

func TestBinaryFractionsAreFound(t *testing.T) {
	t.Parallel()
	tests := []struct {
		source string
		want   []string
	}{
		{"var a float64", []string{"float64"}},
		{"var a float32", []string{"float32"}},
		{"a, _ := strconv.ParseFloat(text, 64)", []string{"ParseFloat"}},
		{"d := decimal.NewFromFloat(x)", []string{"NewFromFloat"}},
		{"x := d.InexactFloat64()", []string{"InexactFloat64"}},
		{"const a = 0.07", []string{"0.07"}},
		{"const a = 1e3", []string{"1e3"}},
		{`const a = "0.07" // a float64 in a comment or in "float64" text is no arithmetic`, nil},
	}
	for _, tt := range tests {
		if got := binaryFractions([]byte(tt.source)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.source, got, tt.want)
		}
	}
}

// binaryFractions gives every name and literal in Go source that brings in a binary fraction. The scanner's own FLOAT is
// not one.
func binaryFractions(source []byte) []string {
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(source))
	s.Init(file, source, nil, 0)
	var found []string
	for {
		_, tok, text := s.Scan()
		switch {
		case tok == token.EOF:
			return found
		case tok == token.FLOAT, tok == token.IMAG:
			found = append(found, text)
		case tok == token.IDENT && (strings.Contains(text, "float") || strings.Contains(text, "Float")):
			found = append(found, text)
		}
	}
}
