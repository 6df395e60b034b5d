// Package integrity proves the books of every tenant each night: it runs the deep checks of all apps, which are those of
// `countersign verify`, and raises an alarm when one of them finds something. A sum that is not zero, a balance that is
// not its entries, a payment that is posted twice or a record of the audit log that was changed is a bug or fraud (S1-28).
//
// The alarm is an event for the tenant's own systems, a record in the audit log, a line in the program's log at error
// level, figures for Prometheus, and a note in the console. What was found last is kept in integrity_results, which this
// package owns; the checks belong to the apps.
package integrity
