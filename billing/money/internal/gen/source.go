package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// source is one npm package at one version.
type source struct{ name, version, integrity string }

func (s source) String() string { return s.name + " " + s.version }

// fetch packs the package into a temporary directory, proves its hash and gives the files named by their paths inside
// the package. No code of the package is run.
func (s source) fetch(paths ...string) (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "currency-table-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)

	npm := exec.Command("npm", "pack", "--silent", "--ignore-scripts", s.name+"@"+s.version)
	npm.Dir = dir
	npm.Stderr = os.Stderr
	if err := npm.Run(); err != nil {
		return nil, fmt.Errorf("npm pack %s: %w", s, err)
	}
	packed, err := os.ReadFile(filepath.Join(dir, s.name+"-"+s.version+".tgz"))
	if err != nil {
		return nil, err
	}
	if sum := sha512.Sum512(packed); base64.StdEncoding.EncodeToString(sum[:]) != s.integrity {
		return nil, fmt.Errorf("%s does not have the expected SHA-512", s)
	}
	return unpack(packed, paths)
}

func unpack(packed []byte, paths []string) (map[string][]byte, error) {
	uncompressed, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, path := range paths {
		wanted["package/"+path] = true
	}
	files := map[string][]byte{}
	archive := tar.NewReader(uncompressed)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if !wanted[header.Name] {
			continue
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return nil, err
		}
		files[header.Name[len("package/"):]] = content
	}
	for _, path := range paths {
		if files[path] == nil {
			return nil, fmt.Errorf("no file %s in the package", path)
		}
	}
	return files, nil
}
