// Package workers runs the background work that the apps declare: it owns asynq and the connection to Redis.
//
// PostgreSQL is the truth. A row of the outbox is a unit of work that was committed with the change that asked for it;
// asynq carries it to a worker and may forget it at any time. Whatever is not done when its time is up is handed over
// again, so Redis may be flushed, restarted or down for a day without any work being lost.
//
//	commit ──► outbox row ──► relay ──► asynq ──► handler ──► effect and mark "done" in one commit
//	              ▲             │ claims what is due            │
//	              └── next_at ──┴──────────── failed: backoff ──┘  too often: dead, restartable
//
// A run is started by counting its attempt, and each handover can be started once. Job.Done refuses a run that a later
// one has overtaken, so an effect that is committed together with Done happens exactly once; a task without an effect
// in the database, such as mail, happens at least once.
//
// Doorbells have no rows: the domain's own table says what waits. They are rung by announcements, and by a sweep each
// second that asks every doorbell who waits. One handler at a time works for one tenant and doorbell, under a lock in
// Redis that dies with its holder; correctness never depends on that lock.
//
// The scheduler of every process ticks. A tick is a row with the cause tick:<time>, which exists once, so any number of
// schedulers run it once. A task with After has no clock of its own: its row is written in the commit that marks its
// predecessor's row of the tick as done.
//
// Any number of processes may run all of this at once.
package workers
