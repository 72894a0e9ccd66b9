import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { packageRoot } from '../src/runtime/package-root.js'

/**
 * Paths of what `npm pack` would pack now. Without its scripts: they would build while other tests run what is built.
 */
const packed = (() => {
  const list = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: packageRoot,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return JSON.parse(list.toString())[0].files.map(({ path }: { path: string }) => path) as string[]
})()

const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'))

test.each([
  'bin/run.js',
  'dist/src/index.js',
  'dist/src/index.d.ts',
  'dist/src/tasks/worker.js',
  'dist/commands/train/classify.js',
  'dist/kernels/relaxed.wasm',
  'dist/help/train classify.txt',
  'dist/completion/zsh',
  'oclif.manifest.json',
  'man/longwave.1',
  'models/origin/model.safetensors',
  'fixtures/fragments.fa',
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
  ...readdirSync(join(packageRoot, 'docs'), { recursive: true, encoding: 'utf8' })
    .map((name) => `docs/${name}`)
    .filter((path) => /\.(md|png)$/.test(path)),
])('the package has %s', (path) => {
  expect(packed).toContain(path)
})

test('the package has no tests, no sources and nothing of the development', () => {
  expect(packed.filter((path) => /(^|\/)(test|src|scripts)\//.test(path.replace(/^dist\/src\//, '')))).toEqual([])
  const top = new Set(packed.map((path) => path.split('/')[0]))
  const wanted = ['CHANGELOG.md', 'LICENSE', 'README.md', 'bin', 'dist', 'docs', 'fixtures', 'man', 'models']
  expect([...top].sort()).toEqual([...wanted, 'oclif.manifest.json', 'package.json'].sort())
})

test('the program names its interpreter in a way that every system and npm for Windows can start', () => {
  // BusyBox env takes one argument; the shim that npm writes for Windows runs what the line names, and there is no sh.
  expect(readFileSync(join(packageRoot, 'bin/run.js'), 'utf8').split('\n')[0]).toBe('#!/usr/bin/env node')
})

test('no dependency but the optional ones has an install script', () => {
  const lock = JSON.parse(readFileSync(join(packageRoot, 'package-lock.json'), 'utf8'))
  const scripts = Object.entries<{ hasInstallScript?: boolean; dev?: boolean; devOptional?: boolean }>(lock.packages)
  const names = scripts.filter(([, entry]) => entry.hasInstallScript && !entry.dev).map(([path]) => path)
  expect(names.filter((path) => !path.endsWith('/fsevents'))).toEqual([
    'node_modules/onnxruntime-node',
    'node_modules/webgpu',
  ])
  expect(Object.keys(manifest.optionalDependencies)).toEqual(['onnxruntime-node', 'webgpu'])
  expect(manifest.allowScripts).toEqual({ 'onnxruntime-node': false, webgpu: false })
})

test('npm shows the manual page of a global installation', () => {
  // npm takes a list only: a single path stays unlinked.
  expect(manifest.man).toEqual(['./man/longwave.1'])
})
