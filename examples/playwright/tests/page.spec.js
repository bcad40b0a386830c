import { expect, test } from "@playwright/test";
import { newCustomer, subjects } from "./shop.js";

const NOTEBOOK = "Notebook, A5 dotted";

async function register(page, customer) {
  const form = page.getByRole("form", { name: "Register" });
  await form.getByLabel("Name").fill(customer.name);
  await form.getByLabel("Email").fill(customer.email);
  await form.getByLabel("Password").fill(customer.password);
  await form.getByRole("button", { name: "Register" }).click();
  await expect(page.getByRole("status")).toHaveText(`Welcome, ${customer.name}.`);
}

async function logIn(page, { email, password }) {
  const form = page.getByRole("form", { name: "Log in" });
  await form.getByLabel("Email").fill(email);
  await form.getByLabel("Password").fill(password);
  await form.getByRole("button", { name: "Log in" }).click();
}

const orders = (page) => page.getByRole("list", { name: "Your orders" }).getByRole("listitem");

test.beforeEach(({ page }) => page.goto("/"));

test("a visitor browses, and cannot order", async ({ page }) => {
  await page.getByLabel("Category").selectOption("gift-cards");
  await expect(page.getByRole("list", { name: "Products" }).getByRole("listitem")).toHaveCount(2);
  await expect(page.getByRole("button", { name: "Order Gift card, 25 €" })).toBeDisabled();
});

test("a customer registers, logs out and in again", async ({ page }) => {
  const customer = newCustomer();
  await register(page, customer);
  await page.getByRole("button", { name: "Log out" }).click();
  await logIn(page, customer);
  await expect(page.getByText(`Logged in as ${customer.email}`)).toBeVisible();
});

test("a wrong password is refused", async ({ page, request }) => {
  const customer = newCustomer();
  await request.post("api/customers", { data: customer });
  await logIn(page, { ...customer, password: "not the password" });
  await expect(page.getByRole("alert")).toHaveText("wrong address or password");
});

test("an order is confirmed, on the page and by mail", async ({ page, request }) => {
  const customer = newCustomer();
  await register(page, customer);
  await page.getByRole("button", { name: "Order Gift card, 25 €" }).click();
  await expect(page.getByRole("status")).toContainText("Your order of €25.00 is confirmed");
  const id = await orders(page).getAttribute("data-order");
  await expect.poll(() => subjects(request, customer.email), { timeout: 20_000 }).toEqual([`Your order ${id}`]);
});

test("a declined payment is told, and nothing is ordered", async ({ page }) => {
  await register(page, newCustomer());
  const product = page.getByRole("listitem").filter({ has: page.getByRole("heading", { name: NOTEBOOK }) });
  const stock = await product.getByText("in stock").textContent();
  await page.getByLabel("Payment card").selectOption("A card without money");
  await page.getByRole("button", { name: `Order ${NOTEBOOK}` }).click();
  await expect(page.getByRole("alert")).toContainText("Payment declined");
  await expect(orders(page)).toHaveCount(0);
  await page.getByLabel("Category").selectOption("office");
  await expect(product.getByText("in stock")).toHaveText(stock);
});
