package ledger_test

import (
	"fmt"
	"testing"

	"countersign/billing/ledger"
)

// BenchmarkPost settles payments of 2,000 customers, the given number in each commit. Run it with
//
//	go test -run '^$' -bench Post ./billing/ledger
func BenchmarkPost(b *testing.B) {
	book := newBook(b)
	customers := book.customers(2000)
	for _, size := range []int{1, 100, 500} {
		b.Run(fmt.Sprintf("%d per commit", size), func(b *testing.B) {
			postings := make([]ledger.Posting, size)
			n := 0
			for b.Loop() {
				for i := range postings {
					postings[i] = payment(customers[n%len(customers)], 9200)
					n++
				}
				if err := book.post(postings...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "postings/s")
		})
	}
}
