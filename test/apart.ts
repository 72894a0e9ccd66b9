import { afterAll } from 'vitest'

/** Test files share a process: each leaves it the environment and the working folder that it found. */
const { ...env } = process.env
const folder = process.cwd()

afterAll(() => {
  process.chdir(folder)
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name]
  Object.assign(process.env, env)
})
