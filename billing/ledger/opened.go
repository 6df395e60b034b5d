package ledger

import "sync"

// openedMost is how many accounts a process remembers: some ten megabytes.
const openedMost = 1 << 18

// openedAccounts are accounts that this process has seen committed, with their balances. Accounts are never taken away, so who
// posts to one of them need not look whether it is there; an id is of one tenant, because the tenant is part of what it is made
// from. It is a memory and no truth: the database refuses entries of an account that is missing after all, and then all is forgotten
// and the transaction runs again.
type openedAccounts struct {
	mu  sync.RWMutex
	ids map[plainID]struct{}
}

var opened = openedAccounts{ids: map[plainID]struct{}{}}

// missing gives those of several accounts that are not remembered.
func (o *openedAccounts) missing(accounts []batchAccount) (fresh []batchAccount) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	for _, a := range accounts {
		if _, ok := o.ids[a.id]; !ok {
			fresh = append(fresh, a)
		}
	}
	return fresh
}

// add remembers accounts. When there are too many it begins anew with these.
func (o *openedAccounts) add(accounts []batchAccount) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.ids)+len(accounts) > openedMost {
		clear(o.ids)
	}
	for _, a := range accounts {
		o.ids[a.id] = struct{}{}
	}
}

func (o *openedAccounts) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.ids)
}
