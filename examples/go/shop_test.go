// The shop's API, from registration to the mail.
package shop

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"
)

type customer struct{ email, token string }

const password = "correct horse battery"

// ask sends body as JSON, reads the answer into found, and gives its status.
func ask(t *testing.T, method, path, token string, body, found any) int {
	t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(method, os.Getenv("API_URL")+path, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return answered(t, request, found)
}

func answered(t *testing.T, request *http.Request, found any) int {
	t.Helper()
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if found != nil {
		if err := json.NewDecoder(answer.Body).Decode(found); err != nil {
			t.Fatal(err)
		}
	}
	return answer.StatusCode
}

func expect[T comparable](t *testing.T, what string, found, wanted T) {
	t.Helper()
	if found != wanted {
		t.Fatalf("%s: got %v, want %v", what, found, wanted)
	}
}

// register makes a customer of one test, so that tests run in any order and in parallel.
func register(t *testing.T) customer {
	t.Helper()
	email := fmt.Sprintf("ada.%s@example.com", rand.Text())
	known := map[string]string{"email": email, "name": "Ada", "password": password}
	expect(t, "POST /customers", ask(t, "POST", "/customers", "", known, nil), 201)
	var token struct {
		Token string `json:"access_token"`
	}
	expect(t, "POST /tokens", ask(t, "POST", "/tokens", "", known, &token), 201)
	return customer{email, token.Token}
}

type order struct{ ID string }

func (c customer) order(t *testing.T, sku, card string) (int, order) {
	t.Helper()
	lines := []map[string]any{{"sku": sku, "quantity": 1}}
	var placed order
	status := ask(t, "POST", "/orders", c.token, map[string]any{"card": card, "lines": lines}, &placed)
	return status, placed
}

func (c customer) orders(t *testing.T) []order {
	t.Helper()
	var found []order
	expect(t, "GET /orders", ask(t, "GET", "/orders", c.token, nil, &found), 200)
	return found
}

func stock(t *testing.T, sku string) int {
	t.Helper()
	var product struct{ Stock int }
	expect(t, "GET /products", ask(t, "GET", "/products/"+sku, "", nil, &product), 200)
	return product.Stock
}

func TestACustomerRegisters(t *testing.T) {
	t.Parallel()
	known := register(t)
	var me struct{ Email string }
	expect(t, "GET /customers/me", ask(t, "GET", "/customers/me", known.token, nil, &me), 200)
	expect(t, "email", me.Email, known.email)
}

func TestAnAddressRegistersOnce(t *testing.T) {
	t.Parallel()
	again := map[string]string{"email": register(t).email, "name": "Ada", "password": password}
	expect(t, "POST /customers", ask(t, "POST", "/customers", "", again, nil), 409)
}

func TestAWrongPasswordIsRefused(t *testing.T) {
	t.Parallel()
	wrong := map[string]string{"email": register(t).email, "password": "not the password"}
	expect(t, "POST /tokens", ask(t, "POST", "/tokens", "", wrong, nil), 401)
}

func TestAnOrderIsPlaced(t *testing.T) {
	t.Parallel()
	known := register(t)
	status, placed := known.order(t, "GFT-25", "tok_visa")
	expect(t, "POST /orders", status, 201)
	expect(t, "orders", fmt.Sprint(known.orders(t)), fmt.Sprint([]order{placed}))
}

func TestADeclinedPaymentRollsBack(t *testing.T) {
	t.Parallel()
	known, before := register(t), stock(t, "TEA-01")
	status, _ := known.order(t, "TEA-01", "tok_declined")
	expect(t, "POST /orders", status, 402)
	expect(t, "orders", len(known.orders(t)), 0)
	expect(t, "stock", stock(t, "TEA-01"), before)
}

func TestTheConfirmationIsMailed(t *testing.T) {
	t.Parallel()
	known := register(t)
	_, placed := known.order(t, "GFT-50", "tok_visa")
	// Sent after the order was answered: asked again until it is there.
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if subjects := mails(t, known.email); len(subjects) > 0 {
			expect(t, "subject", subjects[0], "Your order "+placed.ID)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no mail has come to %s", known.email)
		}
	}
}

func mails(t *testing.T, address string) []string {
	t.Helper()
	query := url.Values{"query": {fmt.Sprintf("to:%q", address)}}
	request, err := http.NewRequest("GET", os.Getenv("MAIL_API_URL")+"/search?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(os.Getenv("MAIL_USERNAME"), os.Getenv("MAIL_PASSWORD"))
	var found struct{ Messages []struct{ Subject string } }
	expect(t, "GET /search", answered(t, request, &found), 200)
	var subjects []string
	for _, mail := range found.Messages {
		subjects = append(subjects, mail.Subject)
	}
	return subjects
}
