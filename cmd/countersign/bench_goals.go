package main

import (
	"fmt"
	"slices"
	"strings"
)

// disturbed is how far the anchors around a round may be apart: their faster rate by the slower.
const disturbed = 1.25

// goal is a ratio of the design: what a step reached by what another did in the same round.
type goal struct {
	id, what      string
	of, against   string // steps
	ratio         func(of, against figure) float64
	must, stretch float64 // zero: printed, and nobody asks for it
	atMost        bool
}

func rate(of, against figure) float64 { return of.perSecond / against.perSecond }

// cost is what the other costs in CPU time by what this does, each with its clients: above one, this is cheaper.
func cost(of, against figure) float64 { return float64(against.cpu.all()) / float64(of.cpu.all()) }

func serverCPU(of, against figure) float64 {
	return float64(of.cpu.server) / float64(against.cpu.server)
}
func p50(of, against figure) float64 { return float64(of.p50) / float64(against.p50) }
func p99(of, against figure) float64 { return float64(of.p99) / float64(against.p50) }
func behind(of, _ figure) float64    { return of.behind }

var goals = []goal{
	{"G1", "settlement of a backlog, rate / A3", "settle, many tenants", "A3", rate, 0.35, 0.6, false},
	{"G1", "  the same, PostgreSQL CPU / A3", "settle, many tenants", "A3", serverCPU, 3, 2, true},
	{"G2", "the same rows by hand, our rate / its rate", "settle, one tenant", "settle by hand", rate, 0.7, 0.85, false},
	{"G2", "  the same, PostgreSQL CPU / by hand", "settle, one tenant", "settle by hand", serverCPU, 0, 0, true},
	{"G3", "approve over HTTP, 32 clients, rate / A1", "approve over HTTP", "A1", rate, 0.5, 1, false},
	{"G3", "  the same, all CPU of A1 / all CPU", "approve over HTTP", "A1", cost, 0.5, 1, false},
	{"G3", "  the same, p99 / p50", "approve over HTTP", "approve over HTTP", p99, 5, 0, true},
	{"G3", "submit over HTTP, 32 clients, rate / A1", "submit over HTTP", "A1", rate, 0.5, 1, false},
	{"G3", "  the same, all CPU of A1 / all CPU", "submit over HTTP", "A1", cost, 0.5, 1, false},
	{"G3", "  the same, p99 / p50", "submit over HTTP", "submit over HTTP", p99, 5, 0, true},
	{"G4", "approve and settle, 64 clients, rate / A1", "approve and settle", "A1", rate, 0.45, 0.8, false},
	{"G4", "  the same, all CPU of A1 / all CPU", "approve and settle", "A1", cost, 0, 0, false},
	{"G4", "  what waits at the end, in seconds of work", "approve and settle", "A1", behind, 1, 0, true},
	{"  ", "approve and settle, Redis in process / redis-server", "approve and settle, Redis in process", "approve and settle", rate, 0.5, 0, false},
	{"G5", "one tenant, one account / many tenants", "settle, one tenant", "settle, many tenants", rate, 0.85, 0.95, false},
	{"G5", "  the same, all CPU of many / all CPU", "settle, one tenant", "settle, many tenants", cost, 0, 0, false},
	{"G6", "approved to settled at rest, p50 / p50 of A1", "latency at rest", "A1", p50, 10, 5, true},
	{"G6", "  the same, p99 / p50 of A1", "latency at rest", "A1", p99, 50, 20, true},
	{"G9", "payment by id, rate / plain handler", "payment by id", "plain handler by id", rate, 0.45, 0.65, false},
	{"G9", "  the same, all CPU of the plain handler / all CPU", "payment by id", "plain handler by id", cost, 0.45, 0.65, false},
	{"G11", "256 clients / 32 clients", "approve and settle, 256 clients", "approve and settle, 32 clients", rate, 0.9, 1, false},
	{"G11", "  the same, all CPU of 32 / all CPU", "approve and settle, 256 clients", "approve and settle, 32 clients", cost, 0, 0, false},
}

// report prints the goals as ratios. A ratio is no assertion: machines differ, and this one may be shared. Rounds with
// anchors that differ do not count, unless there are no others.
func (b *bench) report(results map[string][]figure) {
	var quiet, all []int
	for round := range b.Rounds {
		all = append(all, round)
		if !slices.ContainsFunc([]string{"A1", "A3"}, func(name string) bool {
			return apart(results[name][round], results[name][round+1])
		}) {
			quiet = append(quiet, round)
		}
	}
	rounds := quiet
	if len(quiet) < b.Rounds {
		fmt.Printf("\nDISTURBED: in %d of %d rounds the anchors before and after differ by more than %.0f %%.", b.Rounds-len(quiet), b.Rounds, (disturbed-1)*100)
		if len(quiet) == 0 {
			rounds = all
			fmt.Printf(" There are no others, so these are shown: measure again on a quiet machine.\n")
		} else {
			fmt.Printf(" They do not count.\n")
		}
	}
	at := func(name string, round int) figure {
		if list := results[name]; len(list) > b.Rounds { // an anchor: what it made around the round
			return between(list[round], list[round+1])
		}
		return results[name][round]
	}
	fmt.Printf("\nA1 = pgbench, one settlement a commit in eight round trips, 16 clients; A3 = pgbench, sets of 500 a commit, 2 clients.\n")
	fmt.Printf("CPU is that of PostgreSQL + that of this program with its HTTP clients, or of pgbench.\n\n")
	for _, g := range goals {
		if results[g.of] == nil || results[g.against] == nil {
			continue // not measured
		}
		var ratios []float64
		for _, round := range rounds {
			ratios = append(ratios, g.ratio(at(g.of, round), at(g.against, round)))
		}
		verdict(g.id, g.what, ratios, g.must, g.stretch, g.atMost)
	}
}

// apart says whether two runs of an anchor differ by more than the machine may.
func apart(x, y figure) bool {
	return max(x.perSecond, y.perSecond) > disturbed*min(x.perSecond, y.perSecond)
}

func between(x, y figure) figure {
	return figure{perSecond: (x.perSecond + y.perSecond) / 2, cpu: cpuTime{(x.cpu.server + y.cpu.server) / 2, (x.cpu.program + y.cpu.program) / 2},
		p50: (x.p50 + y.p50) / 2, p99: (x.p99 + y.p99) / 2, behind: (x.behind + y.behind) / 2}
}

// verdict prints the median and the range of a ratio, and which of its goals it meets.
func verdict(id, what string, ratios []float64, must, stretch float64, atMost bool) {
	ratio := middle(ratios)
	line := fmt.Sprintf("  %-3s  %-50s %7.2f (%.2f to %.2f)", id, what, ratio, slices.Min(ratios), slices.Max(ratios))
	bound := "at least"
	if atMost {
		bound = "at most"
	}
	for _, asked := range []struct {
		name  string
		value float64
	}{{"must", must}, {"stretch", stretch}} {
		if asked.value == 0 {
			continue
		}
		word := "met"
		if atMost && ratio > asked.value || !atMost && ratio < asked.value {
			word = "missed"
			if asked.name == "must" {
				word = "MISSED"
			}
		}
		line += fmt.Sprintf("  %s %s %.2f: %s", asked.name, bound, asked.value, word)
	}
	fmt.Println(strings.TrimRight(line, " "))
}

// middle is the median.
func middle(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
