// Package embedded runs the two servers that Countersign needs when nobody has
// set up any: a private PostgreSQL as a child process and a Redis inside this
// process. `countersign run` and the tests use it; with DATABASE_URL and
// REDIS_URL set, nothing of it runs.
//
// It owns: finding the PostgreSQL programs or fetching them once, the data
// directory's creation, the account the server runs as, its start and its end.
// It does not own: roles, databases and migrations inside the server, and the
// data. A data directory is never deleted, emptied or upgraded here.
//
// A start goes through these steps, and each may refuse with a sentence meant
// for the person at the terminal:
//
//	lock the directory → find the programs → choose the account
//	    → initdb beside the directory, rename → start → first query answered
//
// The server is a direct child in a process group of its own. It therefore
// does not see the Ctrl-C of the terminal, but the kernel interrupts it when
// this process dies, in whatever way.
package embedded
