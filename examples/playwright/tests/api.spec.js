import { expect, test } from "@playwright/test";
import { newCustomer } from "./shop.js";

test("a customer registers, and once only", async ({ request }) => {
  const customer = newCustomer();
  expect((await request.post("api/customers", { data: customer })).status()).toBe(201);
  expect((await request.post("api/customers", { data: customer })).status()).toBe(409);
});

test("without a token there are no orders", async ({ request }) => {
  expect((await request.get("api/orders")).status()).toBe(401);
});
