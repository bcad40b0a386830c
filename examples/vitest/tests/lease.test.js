import { expect, test } from "vitest";

// A database of this test alone: see docs/leases.md.
const { ENVCTL_URL, ENVCTL_TOKEN } = process.env;
const headers = { Authorization: `Bearer ${ENVCTL_TOKEN}` };

test("a lease is this test's own database", async () => {
  const answer = await fetch(`${ENVCTL_URL}/v1/leases`, { method: "POST", headers, body: JSON.stringify({ service: "db", ttl: "1m" }) });
  expect(answer.status).toBe(201);
  const { id, properties } = await answer.json();
  expect(properties.url).toMatch(/^postgresql:.*shop_lease_/);
  const given = await fetch(`${ENVCTL_URL}/v1/leases/${id}`, { method: "DELETE", headers });
  expect(given.status).toBe(200);
});
