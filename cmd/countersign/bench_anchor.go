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

// anchor measures one pgbench script on the floor's schema. What was done before leaves work for autovacuum, which is done first:
// it would otherwise run beside the anchor.
func (b *bench) anchor(ctx context.Context, script string, clients, perCommit int) (figure, error) {
	if err := b.asOwner(ctx, "VACUUM ANALYZE"); err != nil {
		return figure{}, err
	}
	return b.pgbench(ctx, pgbenchRun{script: script, login: b.owner, clients: clients, perCommit: perCommit,
		args: []string{"-T", strconv.Itoa(min(max(2, int(b.Seconds.Seconds())), 10)), "-D", fmt.Sprint("payments=", floorPayments), "-D", fmt.Sprint("accounts=", floorAccounts)}})
}

// pgbenchRun is one run of pgbench.
type pgbenchRun struct {
	script             string // in bench/
	login              string // connection string
	options            string // of its sessions
	clients, perCommit int    // perCommit: settlements
	args               []string
}

var (
	tpsLine     = regexp.MustCompile(`tps = ([0-9.]+)`)
	latencyLine = regexp.MustCompile(`latency average = ([0-9.]+) ms`)
	countLine   = regexp.MustCompile(`transactions actually processed: ([0-9]+)`)
)

// pgbench runs a script and counts its settlements.
func (b *bench) pgbench(ctx context.Context, run pgbenchRun) (figure, error) {
	raw, err := benchScripts.ReadFile("bench/" + run.script + ".sql")
	if err != nil {
		return figure{}, err
	}
	file := filepath.Join(b.settings.DataDir, run.script+".sql")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return figure{}, err
	}
	dsn, err := url.Parse(run.login)
	if err != nil {
		return figure{}, err
	}
	query := dsn.Query()
	args := append([]string{"-n", "-M", "prepared", "-h", query.Get("host"), "-p", query.Get("port"), "-U", dsn.User.Username(),
		"-c", strconv.Itoa(run.clients), "-j", "1", "-f", file}, run.args...)
	cmd := exec.CommandContext(ctx, filepath.Join(b.binDir, "pgbench"), append(args, strings.TrimPrefix(dsn.Path, "/"))...)
	cmd.Env = append(os.Environ(), "PGOPTIONS="+run.options)
	before := b.cpu()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return figure{}, fmt.Errorf("pgbench: %w: %s", err, out)
	}
	time.Sleep(time.Second) // until the server has counted what the sessions that have just ended used
	spent := b.cpu().since(before)
	tps, latency, count := tpsLine.FindSubmatch(out), latencyLine.FindSubmatch(out), countLine.FindSubmatch(out)
	if tps == nil || latency == nil || count == nil {
		return figure{}, fmt.Errorf("pgbench said something else: %s", out)
	}
	rate, _ := strconv.ParseFloat(string(tps[1]), 64)
	ms, _ := strconv.ParseFloat(string(latency[1]), 64)
	done, _ := strconv.Atoi(string(count[1]))
	p50 := time.Duration(ms * float64(time.Millisecond))
	return figure{perSecond: rate * float64(run.perCommit), cpu: spent.per(done * run.perCommit), p50: p50, p99: p50}, nil
}

// cpuTime is the CPU time used by PostgreSQL and by what works with it: this process and its redis-server, or pgbench.
type cpuTime struct{ server, program time.Duration }

func (t cpuTime) all() time.Duration { return t.server + t.program }

func (t cpuTime) since(before cpuTime) cpuTime {
	return cpuTime{t.server - before.server, t.program - before.program}
}

func (t cpuTime) per(n int) cpuTime {
	return cpuTime{t.server / time.Duration(max(1, n)), t.program / time.Duration(max(1, n))}
}

// cpu is what all processes have used so far, also those that have ended.
func (b *bench) cpu() cpuTime {
	var server int64
	for whole := int64(-1); whole != processTicks(b.pg.PID(), true); { // again when a child has ended meanwhile, or it would be missing
		whole = processTicks(b.pg.PID(), true)
		server = whole
		children, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, path := range children {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if parentOf(pid) == b.pg.PID() {
				server += processTicks(pid, false)
			}
		}
	}
	program := processTicks(os.Getpid(), true)
	if pid := b.redis.PID(); pid != 0 {
		program += processTicks(pid, false)
	}
	const tick = 10 * time.Millisecond // Linux counts in hundredths of a second
	return cpuTime{server: time.Duration(server) * tick, program: time.Duration(program) * tick}
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
