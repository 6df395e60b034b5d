package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// s3Retries is how often one request is tried. A person waits for the answer, so it is less than the library's ten.
const s3Retries = 3

// S3Config says where an S3-compatible store is. The bucket must exist. Region may be empty where the store does not
// care. TLS is false only for a store on a private network.
type S3Config struct {
	Endpoint  string // host or host:port, without scheme
	Bucket    string
	AccessKey string
	SecretKey string
	Region    string
	TLS       bool
}

// S3 is a Storage in a bucket of an S3-compatible store.
type S3 struct {
	// minio.Core rather than minio.Client: its GetObject is one request and fails at once, where the client's fails
	// at the first read.
	core   *minio.Core
	bucket string
}

var _ Storage = (*S3)(nil)

// NewS3 checks the configuration. It does not talk to the store.
func NewS3(c S3Config) (*S3, error) {
	for name, value := range map[string]string{
		"endpoint": c.Endpoint, "bucket": c.Bucket, "access key": c.AccessKey, "secret key": c.SecretKey,
	} {
		if value == "" {
			return nil, fmt.Errorf("evidence storage: the S3 %s is not set", name)
		}
	}
	if strings.Contains(c.Endpoint, "/") {
		return nil, fmt.Errorf("evidence storage: the S3 endpoint %q is not a host or host:port", c.Endpoint)
	}
	core, err := minio.NewCore(c.Endpoint, &minio.Options{
		Creds:      credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""),
		Region:     c.Region,
		Secure:     c.TLS,
		MaxRetries: s3Retries,
	})
	if err != nil {
		return nil, fmt.Errorf("evidence storage: %w", err)
	}
	return &S3{core: core, bucket: c.Bucket}, nil
}

// Put implements Storage. A reader that can seek and read at an offset, such as a file, is sent again when the store
// stumbles; any other gets one attempt.
func (s *S3) Put(ctx context.Context, key string, r io.Reader, size int64, contentType string) error {
	stored, err := checkPut(ctx, s, key, size)
	if err != nil || stored {
		return err
	}
	body, err := exactBody(r, size)
	if err != nil {
		return fmt.Errorf("store %s: %w", key, err)
	}
	// One request, however large: an upload in parts that breaks leaves parts behind, which nobody sees and all pay.
	_, err = s.core.Client.PutObject(ctx, s.bucket, key, body, size, minio.PutObjectOptions{
		ContentType:      contentType,
		DisableMultipart: true,
	})
	if err != nil {
		return s3Error("store", key, err)
	}
	return nil
}

func exactBody(r io.Reader, size int64) (io.Reader, error) {
	file, ok := r.(interface {
		io.ReadSeeker
		io.ReaderAt
	})
	if !ok {
		return &exactReader{r: r, left: size}, nil
	}
	start, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if end-start != size {
		return nil, fmt.Errorf("%w: %d bytes instead of %d", ErrSizeMismatch, end-start, size)
	}
	return io.NewSectionReader(file, start, size), nil
}

// Open implements Storage. The reader lives no longer than ctx.
func (s *S3) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	body, _, _, err := s.core.GetObject(ctx, s.bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, s3Error("open", key, err)
	}
	return body, nil
}

// Stat implements Storage. S3 does not tell a missing bucket from a missing object here; Put and Open do.
func (s *S3) Stat(ctx context.Context, key string) (int64, error) {
	if err := checkKey(key); err != nil {
		return 0, err
	}
	info, err := s.core.StatObject(ctx, s.bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return 0, s3Error("look up", key, err)
	}
	return info.Size, nil
}

// Delete implements Storage.
func (s *S3) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	err := s.core.RemoveObject(ctx, s.bucket, key, minio.RemoveObjectOptions{})
	if err != nil && !isNoSuchKey(err) {
		return s3Error("delete", key, err)
	}
	return nil
}

func isNoSuchKey(err error) bool {
	answer, ok := errors.AsType[minio.ErrorResponse](err)
	return ok && answer.Code == minio.NoSuchKey
}

// s3Error tells apart what is missing, what the store refuses (our configuration), and a store that is not there.
func s3Error(doing, key string, err error) error {
	if isNoSuchKey(err) {
		return fmt.Errorf("%s %s: %w", doing, key, ErrObjectMissing)
	}
	err = fmt.Errorf("%s %s in the object store: %w", doing, key, err)
	answer, answered := errors.AsType[minio.ErrorResponse](err)
	switch {
	case errors.Is(err, ErrSizeMismatch), errors.Is(err, context.Canceled):
		return err
	case !answered, answer.StatusCode >= 500:
		return ErrStorageUnavailable.Because(err)
	default:
		return err
	}
}
