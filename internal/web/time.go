package web

import (
	"regexp"
	"time"
)

// firstYear and lastYear bound every date and time that is read. What lies outside is a slip of the keyboard, and
// PostgreSQL and RFC 3339 do not take all of it.
const (
	firstYear = 1900
	lastYear  = 9999
	// maxOffset is the largest distance of a clock from UTC, that of Kiritimati, in seconds.
	maxOffset = 14 * 60 * 60
)

// rfc3339 is the form that a time must have; time.Parse takes hours of one digit and a comma before the fraction, too.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$`)

// ParseInstant reads a time of RFC 3339, or a date as its first moment in UTC. The result is in UTC, in the whole
// microseconds that PostgreSQL keeps. Error: ErrNotATime, also for leap seconds, offsets that no clock has, and years
// outside 1900 to 9999.
func ParseInstant(text string) (time.Time, error) {
	if day, err := ParseDate(text); err == nil {
		return day, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || !rfc3339.MatchString(text) {
		return time.Time{}, ErrNotATime
	}
	_, offset := t.Zone()
	if t = t.UTC(); !inYears(t) || max(offset, -offset) > maxOffset {
		return time.Time{}, ErrNotATime
	}
	return t.Truncate(time.Microsecond), nil
}

// ParseDate reads a day such as 2026-01-31, as its first moment in UTC. Error: ErrNotADate, also for years outside
// 1900 to 9999. Request structs get the same by the validator tag datetime=2006-01-02.
func ParseDate(text string) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil || !inYears(day) {
		return time.Time{}, ErrNotADate
	}
	return day, nil
}

func inYears(t time.Time) bool { return t.Year() >= firstYear && t.Year() <= lastYear }

// Time is how instants appear in answers: RFC 3339 in UTC with microseconds, which is what PostgreSQL keeps.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// OptionalTime is Time, or nil when it has not been reached.
func OptionalTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := Time(t)
	return &s
}
