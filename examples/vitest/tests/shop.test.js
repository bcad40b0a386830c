import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { ask, inbox, newCustomer } from "./shop.js";

test("a customer registers", async () => {
  const email = `ada.${randomUUID()}@example.com`;
  const answer = await ask("/customers", { email, name: "Ada", password: "correct horse battery" });
  expect(answer).toMatchObject({ status: 201, body: { email, name: "Ada" } });
});

test("an address registers once", async () => {
  const { known } = await newCustomer();
  expect((await ask("/customers", known)).status).toBe(409);
});

test("a wrong password is refused", async () => {
  const { known } = await newCustomer();
  const answer = await ask("/tokens", { ...known, password: "not the password" });
  expect(answer).toEqual({ status: 401, body: { detail: "wrong address or password" } });
});

test("an order is placed", async () => {
  const customer = await newCustomer();
  const placed = await customer.order("GFT-25", "tok_visa");
  expect(placed.status).toBe(201);
  expect(await customer.orders()).toEqual([placed.body]);
});

test("a declined payment rolls back", async () => {
  const customer = await newCustomer();
  const { stock } = (await ask("/products/TEA-01")).body;
  expect((await customer.order("TEA-01", "tok_declined")).status).toBe(402);
  expect(await customer.orders()).toEqual([]);
  expect((await ask("/products/TEA-01")).body.stock).toBe(stock);
});

test("the confirmation is mailed", async () => {
  const customer = await newCustomer();
  const { body } = await customer.order("GFT-50", "tok_visa");
  expect((await inbox(customer.known.email)).map((mail) => mail.Subject)).toEqual([`Your order ${body.id}`]);
});
