package payments

// The seeds' vocabularies as views on one set of statuses (C-01, model.md 5.3).

// selection is what a status word of any seed selects.
type selection struct {
	Statuses []Status
	// Settled asks in addition that a settlement report has confirmed the payment.
	Settled bool
}

// words are all status words of all seeds, in lower case. A canonical word selects exactly itself (S3-07); the others
// select what their seed means by them.
//
// Two words of seed 001 are canonical ones as well, and differ from them by their case alone: FAILED and CREATED, in capital
// letters, select what the lifecycle calls so.
func words() map[string]selection {
	open := []Status{StatusCreated, StatusPending, StatusPendingApproval, StatusProcessing}
	m := map[string]selection{
		"completed":          {Statuses: []Status{StatusSucceeded}}, // S0, S3-46
		"canceled":           {Statuses: []Status{StatusCancelled}}, // C-24
		"partiallyrefunded":  {Statuses: []Status{StatusPartiallyRefunded}},
		"partially-refunded": {Statuses: []Status{StatusPartiallyRefunded}},
		"captured":           {Statuses: []Status{StatusSucceeded, StatusPartiallyRefunded}},
		"settled":            {Statuses: []Status{StatusSucceeded, StatusPartiallyRefunded}, Settled: true},
		"success":            {Statuses: []Status{StatusSucceeded}},
		"failure":            {Statuses: []Status{StatusFailed}},
		"open":               {Statuses: open},
	}
	for _, s := range Statuses() {
		m[string(s)] = selection{Statuses: []Status{s}}
	}
	m["FAILED"] = selection{Statuses: []Status{StatusFailed, StatusCancelled, StatusExpired}}
	m["CREATED"] = selection{Statuses: open}
	return m
}

// transactionWords are the five words of seed 000's transactions view (S0-19).
func transactionWords() map[string]selection {
	m := map[string]selection{}
	for _, s := range Statuses() {
		w := snakeLess(transactionWord(s))
		sel := m[w]
		sel.Statuses = append(sel.Statuses, s)
		m[w] = sel
	}
	m["partially_refunded"], m["cancelled"] = m["partiallyrefunded"], m["canceled"]
	return m
}

// transactionWord is seed 000's word for a status.
func transactionWord(s Status) string {
	switch s {
	case StatusSucceeded:
		return "completed"
	case StatusPartiallyRefunded:
		return "partially_refunded"
	case StatusRefunded:
		return "refunded"
	case StatusFailed, StatusCancelled, StatusExpired:
		return "canceled"
	default:
		return "pending"
	}
}

func snakeLess(word string) string {
	if word == "partially_refunded" {
		return "partiallyrefunded"
	}
	return word
}

// lifecycle is seed 001's word (S1-29).
func lifecycle(p *Payment) string {
	switch p.Status {
	case StatusAuthorized:
		return "AUTHORIZED"
	case StatusSucceeded, StatusPartiallyRefunded:
		if p.SettlementStatus == "settled" {
			return "SETTLED"
		}
		return "CAPTURED"
	case StatusRefunded:
		return "REFUNDED"
	case StatusFailed, StatusCancelled, StatusExpired:
		return "FAILED"
	default:
		return "CREATED"
	}
}
