// CYPRESS_BASE_URL is the base URL, CYPRESS_API_URL is Cypress.env("API_URL"): the environment's outputs say both.
const { defineConfig } = require("cypress");

module.exports = defineConfig({
  e2e: { supportFile: false, video: false },
});
