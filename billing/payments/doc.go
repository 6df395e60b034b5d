// Package payments owns claims and what becomes of them: submission, decision, settlement.
//
//	created ──▶ pending ──▶ processing ──▶ succeeded ──▶ partially_refunded ──▶ refunded
//	   │           │            ▲
//	   ▼           ▼            │ last approval
//	 pending_approval ──────────┘
//	   │
//	   └──▶ failed (rejected) · cancelled (withdrawn) · expired
//
// A payment that somebody claims is not yet money. SubmitManual stores the claim and nothing else changes. Approve and
// Reject are bound by digest to what the approver saw. Approval posts nothing: Settle takes what is approved in sets,
// posts it once to the ledger, pays the invoice, grants its credits and books what is too much as the customer's credit.
//
// An invoice counts whatever is under way for it, so that payments which are made side by side never take more than it owes
// and it is not voided under them: claims.go.
//
// Charge, Capture and Release ask a provider, between two commits and under a lease (docs/idempotency.md). What a provider
// says, whenever and however often, goes through apply, which believes what fits and keeps the rest as an anomaly.
//
// A refund holds its amount from when it is asked for, so that all of a payment's are never more than it took. The provider
// is asked after the refund is committed, and the books change when the money is known to have left: once for each refund,
// in one commit with its state and the payment's.
//
// It does not own invoices, files, the ladder of approvals or the ledger; it calls them. Whoever must react to a
// payment subscribes to its events.
//
// Lock order, everywhere: payment → invoice → ledger balances, and within one kind by id.
package payments
