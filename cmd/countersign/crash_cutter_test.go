package main_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// cutter stands between processes and PostgreSQL, and cuts a connection before or after a COMMIT. It understands as much
// of the protocol as it takes to see which statements a transaction has run, in batches and one by one.
type cutter struct {
	t      *testing.T
	server string // PostgreSQL's socket

	mu      sync.Mutex
	written []string // what each transaction that has written was about, in the order of their COMMITs
	blade   *blade   // that falls next; nil: none
}

// blade falls at a COMMIT.
type blade struct {
	about  string // of the transaction whose COMMIT it is
	skip   int    // how many such transactions pass before
	after  bool   // PostgreSQL has committed and nobody hears of it; otherwise PostgreSQL never hears of COMMIT
	before func() // what is done while the answer is withheld, before the connection is cut
	fallen chan struct{}
}

// commits are the transactions that matter here, by something that only they write, in the order in which it is looked for.
var commits = []struct{ about, writes string }{
	{"received", `INSERT INTO "inbound_events"`},
	{"effect", "UPDATE inbound_events SET status = $3"},
	{"renew", `INSERT INTO "subscription_months"`},
	{"charged", `UPDATE "subscription_months"`},
	{"settle", "UPDATE payments AS p SET status = 'succeeded'"},
	{"decide", "INSERT INTO decisions ("},
	{"claim", "body_hash, subject_id, shared) VALUES"},
	{"answer", "UPDATE idempotency_keys SET answer"},
	{"provider", `INSERT INTO "sandbox_requests"`},
	{"lease", "SET busy_until = '"},
	{"asked", "SET asked_at = '"}, // that a refund is about to be asked for, and what was given back before
}

// writes finds what else a transaction changes.
var writes = regexp.MustCompile(`(?i)\b(?:insert into|update|delete from) "?([a-z_]+)`)

// subject says what a transaction has written; empty: nothing.
func subject(statements []string) string {
	all := strings.Join(statements, ";\n")
	for _, c := range commits {
		if strings.Contains(all, c.writes) {
			return c.about
		}
	}
	if table := writes.FindStringSubmatch(all); table != nil {
		return table[1]
	}
	return ""
}

// newCutter stands before the server of a connection string, and gives one that leads through it.
func newCutter(t *testing.T, dsn string) (*cutter, string) {
	t.Helper()
	address, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	query := address.Query()
	socket, dir := ".s.PGSQL."+query.Get("port"), shortDir(t)
	c := &cutter{t: t, server: filepath.Join(query.Get("host"), socket)}
	listener, err := net.Listen("unix", filepath.Join(dir, socket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go c.carry(client)
		}
	}()
	query.Set("host", dir)
	address.RawQuery = query.Encode()
	return c, address.String()
}

// put has the blade fall next, and forgets what was written.
func (c *cutter) put(b *blade) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b != nil {
		b.fallen = make(chan struct{})
	}
	c.blade, c.written = b, nil
}

// log gives what was written since the last put.
func (c *cutter) log() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.written)
}

// falls says, of a transaction that is about to commit, whether the blade falls.
func (c *cutter) falls(statements []string) *blade {
	c.mu.Lock()
	defer c.mu.Unlock()
	about := subject(statements)
	if about != "" {
		c.written = append(c.written, about)
	}
	b := c.blade
	if b == nil || b.about != about {
		return nil
	}
	if b.skip > 0 {
		b.skip--
		return nil
	}
	c.blade = nil
	return b
}

// wire is one connection.
type wire struct {
	cutter         *cutter
	client, server net.Conn
	prepared       map[string]string // statements by their names
	bound          string            // the statement of the unnamed portal
	open           []string          // statements of the transaction that is open
	committing     []string          // of the one that the batch commits; nil: none
	withheld       chan *blade       // PostgreSQL's answers are not passed on from here
}

// carry carries one connection until somebody closes it.
func (c *cutter) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", c.server)
	if err != nil {
		return
	}
	defer server.Close()
	w := &wire{cutter: c, client: client, server: server, prepared: map[string]string{}, withheld: make(chan *blade, 1)}
	go w.back()
	w.forth()
}

// forth carries what the program sends, batch by batch.
func (w *wire) forth() {
	from := bufio.NewReader(w.client)
	batch, err := rest(from, nil) // the first message has no type
	if err != nil {
		return
	}
	if _, err := w.server.Write(batch); err != nil {
		return
	}
	for batch = nil; ; {
		message, err := read(from)
		if err != nil {
			return
		}
		w.look(message[0], message[5:])
		batch = append(batch, message...)
		if strings.IndexByte("PBDEC", message[0]) >= 0 { // PostgreSQL answers these at the end of their batch
			continue
		}
		var b *blade
		if w.committing != nil {
			b = w.cutter.falls(w.committing)
			w.committing = nil
		}
		switch {
		case b != nil && !b.after:
			b.fall(w)
			return
		case b != nil:
			w.withheld <- b
		}
		if _, err := w.server.Write(batch); err != nil {
			return
		}
		batch = nil
	}
}

// fall cuts the connection.
func (b *blade) fall(w *wire) {
	if b.before != nil {
		b.before()
	}
	w.client.Close()
	w.server.Close()
	close(b.fallen)
}

// read reads a message: its type, its length and its content.
func read(from *bufio.Reader) ([]byte, error) {
	kind, err := from.ReadByte()
	if err != nil {
		return nil, err
	}
	return rest(from, []byte{kind})
}

// rest reads a message's length and content.
func rest(from *bufio.Reader, message []byte) ([]byte, error) {
	length, err := from.Peek(4)
	if err != nil {
		return nil, err
	}
	n := len(message)
	message = append(message, make([]byte, binary.BigEndian.Uint32(length))...)
	_, err = io.ReadFull(from, message[n:])
	return message, err
}

// look notes which statements are run.
func (w *wire) look(kind byte, content []byte) {
	word := func() (s string) {
		s, rest, _ := strings.Cut(string(content), "\x00")
		content = []byte(rest)
		return s
	}
	switch kind {
	case 'P':
		name := word()
		w.prepared[name] = word()
	case 'B':
		if portal := word(); portal != "" {
			w.cutter.t.Errorf("the cutter does not know portals with names, and there is %q", portal)
		}
		w.bound = w.prepared[word()]
	case 'E':
		w.runs(w.bound)
	case 'Q':
		w.runs(word())
	}
}

func (w *wire) runs(statement string) {
	switch verb, _, _ := strings.Cut(strings.ToUpper(statement), " "); verb {
	case "BEGIN", "ROLLBACK":
		w.open = nil
	case "COMMIT":
		w.committing, w.open = append(w.open, statement), nil
	default:
		w.open = append(w.open, statement)
	}
}

// back carries what PostgreSQL answers. What it answers to a batch with a blade is not passed on.
func (w *wire) back() {
	defer w.client.Close()
	from := bufio.NewReader(w.server)
	var b *blade
	committed := false
	for {
		message, err := read(from)
		if err != nil {
			return
		}
		select {
		case b = <-w.withheld:
		default:
		}
		switch {
		case b == nil:
			if _, err := w.client.Write(message); err != nil {
				return
			}
		case message[0] == 'C':
			committed = string(message[5:]) == "COMMIT\x00"
		case message[0] == 'Z':
			if !committed {
				w.cutter.t.Errorf("PostgreSQL has not committed what the blade stands behind: %s", b.about)
			}
			b.fall(w)
			return
		}
	}
}
