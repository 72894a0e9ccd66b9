import { defineConfig, mergeConfig } from 'vitest/config'
import base from '../../vitest.config.js'

/** `npm run test:install`: what needs npm's registry, and so is no part of `npm test`. */
export default mergeConfig(
  { ...base, test: { ...base.test, include: [], exclude: [] } },
  defineConfig({ test: { include: ['test/install/*.test.ts'], testTimeout: 600_000, hookTimeout: 600_000 } }),
)
