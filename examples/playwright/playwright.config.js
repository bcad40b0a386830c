import { existsSync } from "node:fs";
import { defineConfig } from "@playwright/test";

// A browser of the system where there is one; otherwise that of `npx playwright install chromium`.
const chromium = process.env.CHROMIUM ?? "/usr/bin/chromium";

export default defineConfig({
  testDir: "tests",
  fullyParallel: true,
  timeout: 90_000,
  expect: { timeout: 20_000 },
  outputDir: "results/artifacts",
  reporter: [["list"], ["junit", { outputFile: "results/junit.xml" }]],
  use: {
    baseURL: process.env.SHOP_URL,
    actionTimeout: 10_000,
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: existsSync(chromium) ? chromium : undefined,
      args: ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    },
  },
});
