import { defineConfig } from 'vitest/config'

const results = process.env.LONGWAVE_TEST_RESULTS

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/install/**'],
    testTimeout: 60_000,
    disableConsoleIntercept: true,
    reporters: results ? ['default', ['json', { outputFile: results }]] : ['default'],
  },
})
