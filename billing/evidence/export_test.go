package evidence

import (
	"context"
	"io"
	"math/bits"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/tenancy"
)

// MemoryToDecode is how many bytes a picture's decoding asks for.
func MemoryToDecode(file io.ReadSeeker, contentType string) (int64, error) {
	h, err := formats[contentType].header(file)
	return h.memory(), err
}

// Disposition is how a file is served.
func Disposition(kind, filename, contentType string) string {
	return disposition(kind, &Evidence{Filename: filename, ContentType: contentType})
}

// WantsInline reads the parameters of a download.
var WantsInline = wantsInline

// PlanOfTwins is how PostgreSQL looks for twins: with the one plan that serves all values.
func PlanOfTwins(ctx context.Context, tx bun.Tx, id uuid.UUID) (string, error) {
	if _, err := tx.ExecContext(ctx, "PREPARE twins (uuid, uuid[]) AS "+selectTwins); err != nil {
		return "", err
	}
	defer tx.ExecContext(ctx, "DEALLOCATE twins")
	var lines []string
	err := tx.NewRaw("EXPLAIN EXECUTE twins (?, ARRAY[?::uuid])", tenancy.ID(ctx), id).Scan(ctx, &lines)
	return strings.Join(lines, "\n"), err
}

// Distance is the number of bits, 0 to 64, in which two perceptual hashes differ. The same picture, scaled down and
// recompressed, is within 4. So may be two different screenshots of one app, or two scans of one form: close means
// "look at both", never "the same".
func Distance(a, b int64) int { return bits.OnesCount64(uint64(a ^ b)) }
