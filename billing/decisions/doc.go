// Package decisions owns who decided what, and the ladder that says how many people it takes. It is the same for every
// thing that people decide about; payments are the first.
//
// A decision is bound by digest to what was on the screen: the owner of the subject gathers the facts, Digest turns
// them into 32 bytes, and a decision with another digest than the facts have now is refused by the owner. One person
// decides once about one subject, which the database enforces; two approvals are therefore two people.
//
// It does not know what a decision causes: that is the subject's own business.
package decisions
