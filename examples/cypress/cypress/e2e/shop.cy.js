const newCustomer = () => ({ email: `ada.${crypto.randomUUID()}@example.com`, name: "Ada", password: "correct horse battery" });

// The region by its accessible name, and what is in it.
const form = (name) => cy.get(`form[aria-label="${name}"]`);
const field = (label) => cy.contains("label", label).find("input");
const orders = () => cy.get("#orders li");

function register({ name, email, password }) {
  form("Register").within(() => {
    field("Name").type(name);
    field("Email").type(email);
    field("Password").type(password);
    cy.contains("button", "Register").click();
  });
  cy.get("[role=status]").should("have.text", `Welcome, ${name}.`);
}

function logIn({ email, password }) {
  form("Log in").within(() => {
    field("Email").type(email);
    field("Password").type(password);
    cy.contains("button", "Log in").click();
  });
}

function subjects(address, attempts = 60) {
  const auth = { username: Cypress.env("MAIL_USERNAME"), password: Cypress.env("MAIL_PASSWORD") };
  return cy.request({ url: `${Cypress.env("MAIL_API_URL")}/search`, qs: { query: `to:"${address}"` }, auth }).then(({ body }) => {
    if (body.messages.length || attempts === 0) return body.messages.map((mail) => mail.Subject);
    return cy.wait(300).then(() => subjects(address, attempts - 1));
  });
}

describe("the shop", () => {
  beforeEach(() => cy.visit("/"));

  it("shows a visitor its products", () => {
    cy.get("#category").select("gift-cards");
    cy.get("#products li").should("have.length", 2);
    cy.get('button[aria-label="Order Gift card, 25 €"]').should("be.disabled");
  });

  it("registers an address once", () => {
    const customer = newCustomer();
    register(customer);
    cy.request({ method: "POST", url: `${Cypress.env("API_URL")}/customers`, body: customer, failOnStatusCode: false })
      .its("status").should("equal", 409);
  });

  it("lets a customer log out and in again", () => {
    const customer = newCustomer();
    register(customer);
    cy.contains("button", "Log out").click();
    logIn(customer);
    cy.contains(`Logged in as ${customer.email}`).should("be.visible");
  });

  it("refuses a wrong password", () => {
    const customer = newCustomer();
    cy.request("POST", `${Cypress.env("API_URL")}/customers`, customer);
    logIn({ ...customer, password: "not the password" });
    cy.get("[role=alert]").should("have.text", "wrong address or password");
  });

  it("confirms an order, on the page and by mail", () => {
    const customer = newCustomer();
    register(customer);
    cy.get('button[aria-label="Order Gift card, 25 €"]').click();
    cy.get("[role=status]").should("contain.text", "is confirmed");
    orders().should("have.length", 1).invoke("attr", "data-order").then((id) => {
      subjects(customer.email).should("deep.equal", [`Your order ${id}`]);
    });
  });

  it("tells of a declined payment, and orders nothing", () => {
    register(newCustomer());
    cy.get("#card").select("A card without money");
    cy.get('button[aria-label="Order Notebook, A5 dotted"]').click();
    cy.get("[role=alert]").should("contain.text", "Payment declined");
    orders().should("not.exist");
  });
});
