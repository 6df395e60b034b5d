package settings_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"countersign/internal/settings"
)

var goodKey = base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))

// These tests set the environment, so they do not run beside each other.

func TestLoad(t *testing.T) {
	t.Run("has defaults for a first run", func(t *testing.T) {
		s, err := settings.Load()
		if err != nil {
			t.Fatal(err)
		}
		if s.Addr != "127.0.0.1:8080" || s.DataDir == "" || s.RequestTimeout <= 0 || len(s.Key()) != 0 {
			t.Errorf("got %+v", s)
		}
	})
	t.Run("reads a key in both alphabets", func(t *testing.T) {
		for _, key := range []string{goodKey, base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\xff", 33)))} {
			t.Setenv("COUNTERSIGN_SECRET_KEY", key)
			if s, err := settings.Load(); err != nil || len(s.Key()) < 32 {
				t.Errorf("%q: %d bytes, %v", key, len(s.Key()), err)
			}
		}
	})
	t.Run("takes the owner's address from the database's", func(t *testing.T) {
		t.Setenv("DATABASE_URL", "postgres://a@h/d")
		if s, _ := settings.Load(); s.Owner() != "postgres://a@h/d" {
			t.Errorf("got %q", s.Owner())
		}
		t.Setenv("COUNTERSIGN_OWNER_URL", "postgres://o@h/d")
		if s, _ := settings.Load(); s.Owner() != "postgres://o@h/d" {
			t.Errorf("got %q", s.Owner())
		}
	})
	t.Run("reads addresses and networks of proxies", func(t *testing.T) {
		t.Setenv("COUNTERSIGN_TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.7,::1")
		s, err := settings.Load()
		if err != nil {
			t.Fatal(err)
		}
		if list, err := s.Proxies(); err != nil || len(list) != 3 || list[1].Bits() != 32 || list[2].Bits() != 128 {
			t.Errorf("got %v, %v", list, err)
		}
	})
	for name, value := range map[string]string{
		"COUNTERSIGN_ADDR": "8080", "COUNTERSIGN_SECRET_KEY": "short", "COUNTERSIGN_LOG_FORMAT": "xml", "COUNTERSIGN_ENCRYPTION_KEYS": "a:short", "COUNTERSIGN_TRUSTED_PROXIES": "everybody",
		"COUNTERSIGN_S3_ENDPOINT": "store:9000", "COUNTERSIGN_REQUEST_TIMEOUT": "soon", "COUNTERSIGN_DB_MAX_CONNS": "many",
	} {
		t.Run("refuses "+name+"="+value, func(t *testing.T) {
			t.Setenv(name, value)
			_, err := settings.Load()
			if err == nil {
				t.Fatal("accepted")
			}
			if name == "COUNTERSIGN_SECRET_KEY" && strings.Contains(err.Error(), value) {
				t.Errorf("the message tells the secret: %v", err)
			}
		})
	}
	t.Run("reports all faults at once", func(t *testing.T) {
		t.Setenv("COUNTERSIGN_ADDR", "8080")
		t.Setenv("COUNTERSIGN_LOG_FORMAT", "xml")
		_, err := settings.Load()
		if err == nil || !strings.Contains(err.Error(), "COUNTERSIGN_ADDR") || !strings.Contains(err.Error(), "COUNTERSIGN_LOG_FORMAT") {
			t.Errorf("got %v", err)
		}
	})
}

func TestLines(t *testing.T) {
	secrets := map[string]string{"COUNTERSIGN_SECRET_KEY": goodKey, "DATABASE_URL": "postgres://app:hunter2@db/x?sslmode=disable&password=hunter3",
		"COUNTERSIGN_OWNER_URL": "host=db password=hunter4", "REDIS_URL": "redis://:hunter5@redis:6379/0", "COUNTERSIGN_METRICS_TOKEN": "hunter6",
		"COUNTERSIGN_S3_ENDPOINT": "s3:9000", "COUNTERSIGN_S3_BUCKET": "b", "COUNTERSIGN_S3_ACCESS_KEY": "hunter7", "COUNTERSIGN_S3_SECRET_KEY": "hunter8"}
	for name, value := range secrets {
		t.Setenv(name, value)
	}
	s, err := settings.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range s.Lines() {
		if strings.Contains(line.Value, "hunter") || strings.Contains(line.Value, goodKey) {
			t.Errorf("%s is printed as %q", line.Name, line.Value)
		}
		if line.Name == "" || line.About == "" {
			t.Errorf("%+v has no name or says nothing about itself", line)
		}
		if line.Name == "DATABASE_URL" && !strings.Contains(line.Value, "db/x") {
			t.Errorf("DATABASE_URL does not say which database: %q", line.Value)
		}
		if secrets[line.Name] != "" && line.Value == "" {
			t.Errorf("%s is not shown as set", line.Name)
		}
	}
}
