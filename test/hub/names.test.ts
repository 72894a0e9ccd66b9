import { mkdtempSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { cacheFolder } from '../../src/checkpoints/hub/environment.js'
import { licenceOf } from '../../src/checkpoints/hub/licence.js'
import { parseHubName } from '../../src/checkpoints/hub/name.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
afterEach(() => vi.unstubAllEnvs())

test.each([
  ['org/name', 'org/name', 'main'],
  ['a/b.c_d-E', 'a/b.c_d-E', 'main'],
  ['org/name@v1.2', 'org/name', 'v1.2'],
  ['org/name@refs/pr/3', 'org/name', 'refs/pr/3'],
  [`org/name@${'a'.repeat(40)}`, 'org/name', 'a'.repeat(40)],
])('%s is a name on the hub', (text, repo, revision) => {
  expect(parseHubName(text)).toEqual({ repo, revision })
})

test.each([
  ['name', './org/name', '/org/name', '../name', 'a/b/c', 'a\\b/c', 'org/', '/name', 'org/.name', 'org/na..me'],
  ['org/na--me', 'org/name-', 'org/name.git', `org/${'a'.repeat(93)}`, 'org/name@', 'org/name@../x', 'org/name@a//b'],
  ['org/name@/etc', 'org/name@a/', 'org/na me', 'org/name\n', 'https://huggingface.co/org/name', ''],
])('%j and the like are none', (...texts) => {
  expect(texts.filter((text) => parseHubName(text) !== null)).toEqual([])
})

const none = { HF_HUB_CACHE: '', HUGGINGFACE_HUB_CACHE: '', HF_HOME: '', XDG_CACHE_HOME: '' }

// As huggingface_hub's constants.py has it.
test.each([
  [{ HF_HUB_CACHE: '/a', HUGGINGFACE_HUB_CACHE: '/b', HF_HOME: '/c' }, '/a'],
  [{ HUGGINGFACE_HUB_CACHE: '/b', HF_HOME: '/c' }, '/b'],
  [{ HF_HOME: '/c', XDG_CACHE_HOME: '/d' }, '/c/hub'],
  [{ XDG_CACHE_HOME: '/d' }, '/d/huggingface/hub'],
  [{}, join(homedir(), '.cache/huggingface/hub')],
  [{ HF_HOME: '~/mine' }, join(homedir(), 'mine/hub')],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: as a shell has it
  [{ HF_HOME: '$SCRATCH/${WHO}/$NOBODY', SCRATCH: '/s', WHO: 'me' }, '/s/me/$NOBODY/hub'],
])('%j: the cache is %s', (variables, expected) => {
  for (const [name, value] of Object.entries({ ...none, ...variables })) vi.stubEnv(name, value)
  expect(cacheFolder()).toBe(expected)
})

test.each([
  ['---\nlicense: mit\n---\n', 'mit'],
  ['---\r\ntags:\r\n- dna\r\nlicense: "apache-2.0"\r\n---\r\n# Model', 'apache-2.0'],
  ['---\nlicense:\n- mit\n- cc-by-4.0\ntags:\n- x\n---\n', 'mit, cc-by-4.0'],
  ['---\nlicense: [mit, cc-by-4.0]\n---\n', 'mit, cc-by-4.0'],
  [
    '---\nlicense: other\nlicense_name: falcon-llm\nlicense_link: https://x.example/l\n---\n',
    'falcon-llm (https://x.example/l)',
  ],
  ['---\nlicense: other\n---\n', 'other'],
  ['---\ntags: [dna]\n---\nlicense: mit\n', null],
  ['# Model\nlicense: mit\n', null],
  ['---\nlicense: mit\n', null],
  ['---\nlicense: m\u001b[31mit\n---\n', 'm?[31mit'],
])('the licence of the card %j is %s', async (card, expected) => {
  const model = mkdtempSync(join(folder, 'model '))
  writeFileSync(join(model, 'README.md'), card)
  expect(await licenceOf(model)).toBe(expected)
})
