package web

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// What next names can be read: where pages end, it is the cursor, or nothing where there is none.
func TestList_whereItEnds(t *testing.T) {
	t.Parallel()
	at, err := url.Parse("/list/?page=100&page_size=100&status=x")
	if err != nil {
		t.Fatal(err)
	}
	last := func() cursor { return cursor{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), uuid.Max} }
	for name, tt := range map[string]struct {
		page     int
		ordering string
		more     bool
		want     string
	}{
		"the last page": {100, "-created_at", false, ""}, "a page before": {99, "-created_at", true, "page=100&"},
		"the end of pages": {100, "-created_at", true, "cursor="}, "the end of another order": {100, "name", true, ""},
	} {
		l := List{Page: tt.page, Size: 100, Ordering: tt.ordering, url: at, spec: &ListSpec{}}
		var next, previous string
		l.link(&next, &previous, tt.more, last)
		if !strings.Contains(next, tt.want) || tt.want == "" && next != "" || !strings.Contains(next+"status=x", "status=x") {
			t.Errorf("%s: next is %q", name, next)
		}
	}
}
