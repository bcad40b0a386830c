import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

// Never BASE_URL: Vitest overwrites that variable.
const { API_URL, MAIL_API_URL, MAIL_USERNAME, MAIL_PASSWORD } = process.env;

/** A request: its status, and its body as JSON. */
export async function ask(path, body, token) {
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  const answer = await fetch(`${API_URL}${path}`, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  return { status: answer.status, body: await answer.json() };
}

/** A customer of one test. */
export async function newCustomer() {
  const known = { email: `ada.${randomUUID()}@example.com`, name: "Ada", password: "correct horse battery" };
  await ask("/customers", known);
  const token = (await ask("/tokens", known)).body.access_token;
  const order = (sku, card) => ask("/orders", { card, lines: [{ sku, quantity: 1 }] }, token);
  return { known, order, orders: async () => (await ask("/orders", undefined, token)).body };
}

/** The mails of an address, waited for: they are sent after the order was answered. */
export async function inbox(address) {
  const login = Buffer.from(`${MAIL_USERNAME}:${MAIL_PASSWORD}`).toString("base64");
  for (const deadline = Date.now() + 20_000; ; await sleep(100)) {
    const query = new URLSearchParams({ query: `to:"${address}"` });
    const answer = await fetch(`${MAIL_API_URL}/search?${query}`, { headers: { Authorization: `Basic ${login}` } });
    const { messages } = await answer.json();
    if (messages.length) return messages;
    if (Date.now() > deadline) throw new Error(`no mail has come to ${address}`);
  }
}
