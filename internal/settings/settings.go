// Package settings is the configuration: one struct, read from the environment, checked at start and printed without
// its secrets. Defaults suit a first run on one machine; README.md says what production sets.
package settings

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"countersign/internal/keyring"
)

// Settings is everything an operator can choose.
type Settings struct {
	Addr            string        `env:"COUNTERSIGN_ADDR" envDefault:"127.0.0.1:8080" about:"Where HTTP is served."`
	DataDir         string        `env:"COUNTERSIGN_DATA_DIR" envDefault:".data" about:"Where the embedded database, local evidence and the generated key are kept."`
	SecretKey       string        `env:"COUNTERSIGN_SECRET_KEY" about:"At least 32 bytes, base64. Keys hashes of references and log-in attempts." secret:"yes"`
	EncryptionKeys  string        `env:"COUNTERSIGN_ENCRYPTION_KEYS" about:"What seals credentials and payers' details: id:base64 of 32 bytes, separated by commas. The first seals, all open. Empty: a key made from the secret key." secret:"yes"`
	DatabaseURL     string        `env:"DATABASE_URL" about:"PostgreSQL 15 or newer. Empty: a private server that run starts." secret:"url"`
	OwnerURL        string        `env:"COUNTERSIGN_OWNER_URL" about:"The schema's owner, for migrate. Empty: DATABASE_URL." secret:"url"`
	RedisURL        string        `env:"REDIS_URL" about:"Redis 6.2 or newer: redis://, rediss:// or redis-sentinel://. Empty: in process, with run only." secret:"url"`
	MaxConns        int           `env:"COUNTERSIGN_DB_MAX_CONNS" envDefault:"0" about:"Connections to PostgreSQL. 0: eight for each core."`
	Concurrency     int           `env:"COUNTERSIGN_WORKER_CONCURRENCY" envDefault:"0" about:"Background tasks at once. 0: four for each core."`
	PostgresBin     string        `env:"COUNTERSIGN_PG_BIN" about:"Folder with postgres and initdb for the private server. Empty: looked for."`
	TrustedProxies  []string      `env:"COUNTERSIGN_TRUSTED_PROXIES" about:"Addresses or networks whose X-Forwarded-For is believed."`
	SecureCookies   bool          `env:"COUNTERSIGN_SECURE_COOKIES" envDefault:"false" about:"Set to true behind HTTPS: console cookies are then never sent without it."`
	RequestTimeout  time.Duration `env:"COUNTERSIGN_REQUEST_TIMEOUT" envDefault:"30s" about:"How long a request may take."`
	ShutdownTimeout time.Duration `env:"COUNTERSIGN_SHUTDOWN_TIMEOUT" envDefault:"20s" about:"How long running work may go on after a stop was asked for."`
	LogFormat       string        `env:"COUNTERSIGN_LOG_FORMAT" envDefault:"text" about:"text or json."`
	LogLevel        string        `env:"COUNTERSIGN_LOG_LEVEL" envDefault:"info" about:"debug, info, warn or error."`
	MetricsToken    string        `env:"COUNTERSIGN_METRICS_TOKEN" about:"Bearer token that /metrics asks for. Empty: none." secret:"yes"`
	S3Endpoint      string        `env:"COUNTERSIGN_S3_ENDPOINT" about:"Object store for evidence, host:port. Empty: files below the data directory."`
	S3Bucket        string        `env:"COUNTERSIGN_S3_BUCKET" about:"Bucket for evidence."`
	S3Region        string        `env:"COUNTERSIGN_S3_REGION" about:"Region of the bucket."`
	S3AccessKey     string        `env:"COUNTERSIGN_S3_ACCESS_KEY" about:"Access key of the object store." secret:"yes"`
	S3SecretKey     string        `env:"COUNTERSIGN_S3_SECRET_KEY" about:"Secret key of the object store." secret:"yes"`
	S3TLS           bool          `env:"COUNTERSIGN_S3_TLS" envDefault:"true" about:"Whether the object store is reached by TLS."`
}

// Load reads and checks the environment.
func Load() (Settings, error) {
	s, err := env.ParseAs[Settings]()
	if err != nil {
		return s, fmt.Errorf("read settings: %w", err)
	}
	return s, s.check()
}

func (s Settings) check() error {
	var faults []error
	bad := func(name, expected string) {
		faults = append(faults, fmt.Errorf("%s: expected %s", name, expected))
	}
	if _, _, err := net.SplitHostPort(s.Addr); err != nil {
		bad("COUNTERSIGN_ADDR", "host:port, such as 127.0.0.1:8080")
	}
	if s.SecretKey != "" {
		if key, err := decodeKey(s.SecretKey); err != nil || len(key) < 32 {
			bad("COUNTERSIGN_SECRET_KEY", "at least 32 bytes as base64; make one with: head -c 32 /dev/urandom | base64")
		}
	}
	if _, err := keyring.Parse(s.EncryptionKeys); err != nil {
		faults = append(faults, fmt.Errorf("COUNTERSIGN_ENCRYPTION_KEYS: %w", err))
	}
	if s.LogFormat != "text" && s.LogFormat != "json" {
		bad("COUNTERSIGN_LOG_FORMAT", "text or json")
	}
	if _, err := s.Proxies(); err != nil {
		bad("COUNTERSIGN_TRUSTED_PROXIES", "addresses or networks such as 10.0.0.0/8, separated by commas")
	}
	if (s.S3Endpoint == "") != (s.S3Bucket == "") {
		bad("COUNTERSIGN_S3_ENDPOINT and COUNTERSIGN_S3_BUCKET", "both or neither")
	}
	return errors.Join(faults...)
}

func decodeKey(text string) ([]byte, error) {
	if key, err := base64.StdEncoding.DecodeString(text); err == nil {
		return key, nil
	}
	return base64.RawURLEncoding.DecodeString(text)
}

// Key gives the secret key's bytes; none when it is not set.
func (s Settings) Key() []byte {
	key, _ := decodeKey(s.SecretKey)
	return key
}

// Keyring gives the keys that seal, of settings that were checked.
func (s Settings) Keyring() *keyring.Keyring {
	keys, _ := keyring.Parse(s.EncryptionKeys)
	return keyring.New(keys, s.Key())
}

// Owner is the connection string for migrations.
func (s Settings) Owner() string {
	if s.OwnerURL != "" {
		return s.OwnerURL
	}
	return s.DatabaseURL
}

// Proxies gives the networks whose X-Forwarded-For is believed.
func (s Settings) Proxies() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, text := range s.TrustedProxies {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			list = append(list, prefix)
			continue
		}
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return nil, err
		}
		list = append(list, netip.PrefixFrom(addr, addr.BitLen()))
	}
	return list, nil
}

// Line is one setting as it is printed.
type Line struct {
	Name  string
	Value string
	About string
}

// Lines gives all settings for printing: secrets only say whether they are set.
func (s Settings) Lines() []Line {
	v := reflect.ValueOf(s)
	var lines []Line
	for i := range v.NumField() {
		f := v.Type().Field(i)
		lines = append(lines, Line{Name: f.Tag.Get("env"), Value: redact(f.Tag.Get("secret"), fmt.Sprint(v.Field(i).Interface())), About: f.Tag.Get("about")})
	}
	return lines
}

func redact(kind, value string) string {
	switch {
	case kind == "" || value == "":
		return value
	case kind == "url":
		u, err := url.Parse(value)
		if err != nil || !strings.Contains(value, "://") {
			return "set"
		}
		query := u.Query()
		if query.Has("password") {
			query.Set("password", "xxxxx")
			u.RawQuery = query.Encode()
		}
		return u.Redacted()
	default:
		return "set"
	}
}
