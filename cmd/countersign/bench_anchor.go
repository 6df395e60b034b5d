package main

import (
	"context"
	"embed"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

//go:embed bench/*.sql
var benchScripts embed.FS

const floorPayments, floorAccounts = 500_000, 20_000

// fillFloor makes the schema that pgbench works on.
func (b *bench) fillFloor(ctx context.Context) error {
	script, err := benchScripts.ReadFile("bench/schema.sql")
	if err != nil {
		return err
	}
	text := strings.NewReplacer(":payments", strconv.Itoa(floorPayments), ":accounts", strconv.Itoa(floorAccounts)).Replace(string(script))
	return b.asOwner(ctx, strings.Split(text, ";\n")...)
}

var (
	tpsLine     = regexp.MustCompile(`tps = ([0-9.]+)`)
	latencyLine = regexp.MustCompile(`latency average = ([0-9.]+) ms`)
)

// anchor runs one pgbench script and counts its settlements.
func (b *bench) anchor(ctx context.Context, script string, clients, perCommit int) (figure, error) {
	raw, err := benchScripts.ReadFile("bench/" + script + ".sql")
	if err != nil {
		return figure{}, err
	}
	file := filepath.Join(b.settings.DataDir, script+".sql")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return figure{}, err
	}
	dsn, err := url.Parse(b.owner)
	if err != nil {
		return figure{}, err
	}
	query := dsn.Query()
	args := []string{"-n", "-M", "prepared", "-h", query.Get("host"), "-p", query.Get("port"), "-U", dsn.User.Username(),
		"-D", fmt.Sprint("payments=", floorPayments), "-D", fmt.Sprint("accounts=", floorAccounts), "-c", strconv.Itoa(clients), "-j", "1",
		"-T", strconv.Itoa(max(2, int(b.Seconds.Seconds()))), "-f", file, databaseName}
	before := b.cpu()
	out, err := exec.CommandContext(ctx, filepath.Join(b.binDir, "pgbench"), args...).CombinedOutput()
	if err != nil {
		return figure{}, fmt.Errorf("pgbench: %w: %s", err, out)
	}
	time.Sleep(time.Second) // until the server has counted what the sessions that have just ended used
	spent := b.cpu().since(before)
	tps, latency := tpsLine.FindSubmatch(out), latencyLine.FindSubmatch(out)
	if tps == nil || latency == nil {
		return figure{}, fmt.Errorf("pgbench said something else: %s", out)
	}
	rate, _ := strconv.ParseFloat(string(tps[1]), 64)
	ms, _ := strconv.ParseFloat(string(latency[1]), 64)
	n := rate * float64(perCommit)
	p50 := time.Duration(ms * float64(time.Millisecond))
	return figure{perSecond: n, cpu: spent.per(int(n * b.Seconds.Seconds())), p50: p50, p99: p50}, nil
}

// cpuTime is the CPU time used by PostgreSQL and by what works with it: this process, or pgbench.
type cpuTime struct{ server, program time.Duration }

func (t cpuTime) all() time.Duration { return t.server + t.program }

func (t cpuTime) since(before cpuTime) cpuTime {
	return cpuTime{t.server - before.server, t.program - before.program}
}

func (t cpuTime) per(n int) cpuTime {
	return cpuTime{t.server / time.Duration(n), t.program / time.Duration(n)}
}

// cpu is what all processes have used so far, also those that have ended.
func (b *bench) cpu() cpuTime {
	ticks := processTicks(b.pg.PID(), true)
	children, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range children {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if parentOf(pid) == b.pg.PID() {
			ticks += processTicks(pid, false)
		}
	}
	const tick = 10 * time.Millisecond // Linux counts in hundredths of a second
	return cpuTime{server: time.Duration(ticks) * tick, program: time.Duration(processTicks(os.Getpid(), true)) * tick}
}

// processTicks reads utime and stime of a process, and with them those of its ended children when asked.
func processTicks(pid int, ended bool) int64 {
	fields := statFields(pid)
	if len(fields) < 15 {
		return 0
	}
	var sum int64
	last := 13
	if ended {
		last = 15
	}
	for _, f := range fields[11:last] {
		n, _ := strconv.ParseInt(f, 10, 64)
		sum += n
	}
	return sum
}

func parentOf(pid int) int {
	fields := statFields(pid)
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(fields[1])
	return n
}

// statFields gives the fields of /proc/<pid>/stat behind the command's name, which may hold spaces.
func statFields(pid int) []string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	return strings.Fields(rest)
}
