import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

const results = process.env.LONGWAVE_TEST_RESULTS

export default defineConfig({
  test: {
    // TensorFlow.js as it is installed here, without native code.
    env: { LONGWAVE_TFJS: 'javascript' },
    include: ['test/**/*.test.ts'],
    exclude: ['test/install/**'],
    globalSetup: 'test/told.ts',
    setupFiles: 'test/equality.ts',
    // Without this, one less than there are cores: one of two.
    maxWorkers: availableParallelism(),
    // The built package runs as it is.
    server: { deps: { external: [/\/(build|dist)\//] } },
    // On a machine that does other things, too, a process takes ten times as long to start.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    disableConsoleIntercept: true,
    reporters: results ? ['default', ['json', { outputFile: results }]] : ['default'],
  },
})
