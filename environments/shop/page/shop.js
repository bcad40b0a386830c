// The page of the shop. The API lies behind the same address, under /api.
const find = (selector, within = document) => within.querySelector(selector);
const money = (cents) => new Intl.NumberFormat("en", { style: "currency", currency: "EUR" }).format(cents / 100);

// The customer for as long as the page is open: nothing is stored in the browser.
const customer = { token: null, email: null };

class Refused extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

async function api(path, body) {
  const headers = { "Content-Type": "application/json" };
  if (customer.token) headers.Authorization = `Bearer ${customer.token}`;
  const answer = await fetch(`api${path}`, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  const document = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, wordsOf(document) ?? `The shop answered with status ${answer.status}.`);
  return document;
}

// FastAPI gives a sentence, or one problem for each field.
function wordsOf({ detail }) {
  return Array.isArray(detail) ? detail.map(({ loc, msg }) => `${loc.at(-1)}: ${msg}`).join("; ") : detail;
}

function tell(status, alert = "") {
  find("#status").textContent = status;
  find("#alert").textContent = alert;
}

// What somebody did, and what is said when it was refused.
async function attempt(action) {
  tell("");
  try {
    await action();
  } catch (error) {
    tell("", error.status === 402 ? `Payment declined. ${error.message}` : error.message);
  }
}

async function register({ name, email, password }) {
  await api("/customers", { name, email, password });
  await logIn({ email, password });
  tell(`Welcome, ${name}.`);
}

async function logIn({ email, password }) {
  customer.token = (await api("/tokens", { email, password })).access_token;
  customer.email = email;
  await showCustomer();
  tell("You are logged in.");
}

async function logOut() {
  Object.assign(customer, { token: null, email: null });
  await showCustomer();
  tell("You are logged out.");
}

async function showCustomer() {
  const known = customer.token !== null;
  find("#visitor").hidden = known;
  find("#customer").hidden = find("#greeting").hidden = !known;
  find("#greeting strong").textContent = customer.email;
  await Promise.all([showOrders(known ? await api("/orders") : []), showProducts()]);
}

function showOrders(orders) {
  find("#orders").replaceChildren(...orders.map(({ id, total_cents, lines }) => {
    const item = document.createElement("li");
    item.textContent = `${lines.map(({ quantity, sku }) => `${quantity} × ${sku}`).join(", ")}: ${money(total_cents)}`;
    item.dataset.order = id;
    return item;
  }));
}

async function showProducts() {
  const category = find("#category").value;
  const query = new URLSearchParams(category ? { limit: 1000, category } : { limit: 1000 });
  const products = await api(`/products?${query}`);
  if (find("#category").length === 1) showCategories(products);
  find("#products").replaceChildren(...products.map(productItem));
}

function showCategories(products) {
  const names = [...new Set(products.map((product) => product.category))].sort();
  find("#category").append(...names.map((name) => new Option(name)));
}

function productItem({ sku, name, price_cents, stock }) {
  const item = find("#product").content.firstElementChild.cloneNode(true);
  const button = find("button", item);
  find("h3", item).textContent = name;
  find(".price", item).textContent = money(price_cents);
  find(".stock", item).textContent = stock ? `${stock} in stock` : "Sold out";
  button.setAttribute("aria-label", `Order ${name}`);
  button.disabled = !stock || !customer.token;
  button.addEventListener("click", () => attempt(() => order(sku)));
  return item;
}

async function order(sku) {
  const { total_cents } = await api("/orders", { card: find("#card").value, lines: [{ sku, quantity: 1 }] });
  await showCustomer();
  tell(`Thank you. Your order of ${money(total_cents)} is confirmed; a mail is on its way to ${customer.email}.`);
}

const ACTIONS = { register, logIn };
for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(() => ACTIONS[form.dataset.does](Object.fromEntries(new FormData(form))));
  });
}
find("#greeting button").addEventListener("click", () => attempt(logOut));
find("#category").addEventListener("change", () => attempt(showProducts));
attempt(showCustomer);
