import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/*.test.js"],
    reporters: ["verbose", ["junit", { outputFile: "results/junit.xml" }]],
    testTimeout: 30_000,
  },
});
