package shop

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

type lease struct {
	ID         string
	Properties struct{ URL string }
}

// leased is a server's unit of this test alone, given back at its end: see docs/leases.md.
func leased(t *testing.T, service string) (found lease) {
	t.Helper()
	expect(t, "lease", envctl(t, "POST", "/v1/leases", `{"service": "`+service+`", "ttl": "1m"}`, &found), http.StatusCreated)
	t.Cleanup(func() { envctl(t, "DELETE", "/v1/leases/"+found.ID, "", nil) })
	return found
}

func envctl(t *testing.T, method, path, body string, found any) int {
	t.Helper()
	request, err := http.NewRequest(method, os.Getenv("ENVCTL_URL")+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("ENVCTL_TOKEN"))
	return answered(t, request, found)
}

func TestALeaseIsThisTestsOwnDatabase(t *testing.T) {
	first, second := leased(t, "db"), leased(t, "db")
	if !strings.Contains(first.Properties.URL, "shop_lease_") || first.Properties.URL == second.Properties.URL {
		t.Fatalf("got %s and %s", first.Properties.URL, second.Properties.URL)
	}
}
