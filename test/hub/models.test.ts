import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'
import { HubServer, refuse } from './server.js'

const folder = temporaryFolder()
const hub = await HubServer.start()
const repo = 'org/ph'
const golden = (name: string) => readFileSync(`test/golden/caduceus-ph/${name}`)
const card = (licence: string) => `---\ntags: [dna]\nlicense: ${licence}\n---\n# Ph\n`
const files = {
  'README.md': card('apache-2.0'),
  'config.json': golden('config.json'),
  'model.safetensors': golden('model.safetensors'),
}
const first = hub.commit(repo, files, 'v1')
const second = hub.commit(repo, { ...files, 'README.md': card('cc-by-nc-4.0') }, 'v2')

let home = ''
let env: Record<string, string> = {}
beforeEach(() => {
  hub.tag(repo, 'main', first)
  hub.faults = []
  home = mkdtempSync(join(folder, 'home '))
  env = { HF_HOME: home, HF_ENDPOINT: hub.url, HF_HUB_OFFLINE: '' }
})

const inRepo = (...path: string[]) => join(home, 'hub/models--org--ph', ...path)
const offline = { HF_HUB_OFFLINE: '1' }

async function run(args: string[], more: Record<string, string> = {}, cwd?: string) {
  hub.asked.length = 0
  const { code, stdout, stderr } = await command(args, { env: { ...env, ...more }, cwd, input: '>a\nACGTACGT\n' })
  return { code, stdout: stdout.toString(), stderr, asked: hub.asked.map(({ method, path }) => `${method} ${path}`) }
}
const embed = (name: string, more?: Record<string, string>, cwd?: string, ...flags: string[]) =>
  run(['embed', '-m', name, '--dry-run', ...flags], more, cwd)
const pull = (name: string) => run(['models', 'pull', name])
const look = `HEAD /org/ph/resolve/main/config.json`
const lookAt = (revision: string) => `HEAD /org/ph/resolve/${revision}/config.json`
const licence = (text: string) => `longwave: org/ph: licence ${text}`

describe('-m ORG/NAME', () => {
  test('pulls what is not there; then one look at the hub says that nothing has changed', async () => {
    const rows = (name: string) => run(['embed', '-m', name, '-f', 'jsonl', '--no-progress'])
    const local = await rows('test/golden/caduceus-ph')
    const { code, stdout, stderr } = await rows(repo)
    expect([code, stdout]).toEqual([0, local.stdout])
    expect(stderr.split('\n')[0]).toBe(licence('apache-2.0'))
    const again = await rows(repo)
    expect([again.code, again.stdout, again.asked]).toEqual([0, local.stdout, [look]])
    expect(again.stderr).toMatch(/^1 record .*\n$/)
  })

  test('follows the branch, and keeps what was there; a commit is a commit for ever', async () => {
    await embed(repo)
    hub.tag(repo, 'main', second)
    const { code, stderr, asked } = await embed(repo)
    expect([code, stderr.split('\n')[0]]).toEqual([0, licence('cc-by-nc-4.0')])
    // Of what is the same in both nothing comes again.
    expect(asked.filter((line) => line.startsWith('GET /org'))).toEqual([`GET /org/ph/resolve/${second}/README.md`])
    expect(readdirSync(inRepo('snapshots')).sort()).toEqual([first, second].sort())
    const pinned = await embed(`${repo}@${first}`)
    expect([pinned.code, pinned.asked]).toEqual([0, []])
  })

  test('takes a tag', async () => {
    const { code, asked } = await embed(`${repo}@v2`)
    expect([code, asked[0]]).toEqual([0, lookAt('v2')])
    expect(readFileSync(inRepo('refs/v2'), 'utf8')).toBe(second)
  })

  test.each([
    ['a hub that is away', () => hub.faults.push((_, response) => !!response.destroy()), /cannot be reached/],
    ['one that is busy', () => hub.faults.push((_, response) => refuse(response, 503, '')), /is busy \(503\)/],
    [
      'a network that wants a login',
      () => hub.faults.push((_, response) => !!response.end('<html>')),
      /does not answer as a hub/,
    ],
    [
      'a commit that is a path',
      () => hub.faults.push((_, response) => !!response.writeHead(200, { 'X-Repo-Commit': '../..' }).end()),
      /does not answer as a hub/,
    ],
    ['a login that has ended', () => hub.faults.push((_, response) => refuse(response, 401, '')), /\(401\)/],
  ])('of %s takes what the cache has, and says so', async (_, fail, why) => {
    await embed(repo)
    fail()
    const { code, stderr } = await embed(repo)
    expect(code).toBe(0)
    expect(stderr.split('\n')[0]).toMatch(why)
    expect(stderr.split('\n')[0]).toMatch(/; what the cache has of it is used$/)
  })

  test('with HF_HUB_OFFLINE asks nothing', async () => {
    const none = await embed(repo, offline)
    expect([none.code, none.asked]).toEqual([69, []])
    expect(none.stderr).toBe(
      `longwave: org/ph: not in ${join(home, 'hub')}, and HF_HUB_OFFLINE is set; where there is a network: longwave models pull org/ph\n`,
    )
    const refused = await run(['models', 'pull', repo], offline)
    expect([refused.code, refused.stderr]).toEqual([69, 'longwave: HF_HUB_OFFLINE is set: nothing is pulled\n'])
    await pull(repo)
    for (const name of [repo, `${repo}@main`, `${repo}@${first}`]) {
      const { code, asked } = await embed(name, offline)
      expect([code, asked]).toEqual([0, []])
    }
  })

  test('what Python has brought is used; what it lacks comes when the hub is looked at', async () => {
    await pull(repo)
    const brought = () => {
      for (const name of ['trees', `snapshots/${first}/README.md`, '.longwave-licence'])
        rmSync(inRepo(name), { recursive: true, force: true })
    }
    brought()
    const alone = await embed(repo, offline)
    expect([alone.code, alone.stderr.split('\n')[0]]).toEqual([
      0,
      licence(`not stated in its card: see ${hub.url}/org/ph`),
    ])
    const online = await embed(repo)
    expect([online.code, online.stderr.split('\n')[0]]).toEqual([0, licence('apache-2.0')])
    expect(online.asked).toEqual([look, 'GET /api/models/org/ph/revision/main'])
    brought()
    hub.faults = [({ method }, response) => method === 'GET' && refuse(response, 403, '')]
    const refused = await embed(repo)
    expect([refused.code, refused.stderr]).toEqual([
      0,
      expect.stringMatching(/\(403\); what the cache has of it is used/),
    ])
    rmSync(inRepo('snapshots', first, 'model.safetensors'))
    expect((await embed(repo, offline)).code).toBe(69)
    hub.faults = []
    expect((await embed(repo)).code).toBe(0)
  })

  test('the licence is shown before the first use, not with -q, and again when it is another', async () => {
    const quiet = await embed(repo, {}, undefined, '-q')
    expect(quiet.stderr).toBe('')
    expect((await embed(repo)).stderr).toContain(licence('apache-2.0'))
    expect((await embed(repo)).stderr).not.toContain('licence')
    writeFileSync(realpathSync(inRepo('snapshots', first, 'README.md')), '---\nlicense: mit\n---\n')
    expect((await embed(repo)).stderr).toContain(licence('mit'))
  })

  test('a bundled model and a folder come first, and a mistyped path is told to no hub', async () => {
    await pull(repo)
    const cwd = mkdtempSync(join(folder, 'cwd '))
    cpSync('test/golden/caduceus-ph', join(cwd, 'org/ph'), { recursive: true })
    const here = await embed(repo, {}, cwd)
    expect([here.code, here.asked]).toEqual([0, []])
    expect(here.stderr.split('\n')[0]).toBe(
      'longwave: -m org/ph is the folder here; the model of the hub is -m org/ph@main',
    )
    expect((await embed('org/ph@main', {}, cwd)).asked).toEqual([look])
    const mistyped = await embed('org/pj', {}, cwd)
    expect([mistyped.code, mistyped.asked]).toEqual([69, []])
    expect(mistyped.stderr).toMatch(
      /^longwave: org\/pj: no such model in the folder here; one of the hub is org\/pj@main; bundled/,
    )
    rmSync(join(cwd, 'org/ph/config.json'))
    expect((await embed(repo, {}, cwd)).stderr).toBe(
      'longwave: org/ph: no config.json in this folder, so it is no model; the model of the hub is org/ph@main\n',
    )
  })

  test('an HF_ENDPOINT that is no address is a usage error', async () => {
    const { code, stderr } = await embed(repo, { HF_ENDPOINT: 'hub.example' })
    expect([code, stderr]).toEqual([
      2,
      'longwave: HF_ENDPOINT is hub.example, expected an address such as https://huggingface.co\n',
    ])
  })
})

test('models list shows what is bundled and what the cache has, and counts what is not read', async () => {
  await pull(repo)
  await pull(`${repo}@v2`)
  hub.commit('org/bert', { 'config.json': '{"model_type":"bert"}', 'model.safetensors': files['model.safetensors'] })
  hub.commit('org/begun', { 'config.json': '{}', 'model.safetensors': files['model.safetensors'] })
  await pull('org/bert')
  hub.faults = [(_, response, { host }) => host === 'cdn' && refuse(response, 404, '')]
  expect((await pull('org/begun')).code).toBe(69)
  const { code, stdout, stderr } = await run(['models', 'list'])
  expect([code, stderr]).toEqual([
    0,
    'longwave: 1 more in the cache of the hub, of kinds that longwave does not read\n',
  ])
  expect(stdout).toMatch(/^origin +\d+ +6 +\d+ kB +accuracy 0\.725/m)
  expect(stdout).toMatch(
    new RegExp(`^org/ph +\\d+ +0 +46\\.8 kB +main ${first.slice(0, 7)} +checkpoint of type caduceus$`, 'm'),
  )
  expect(stdout).toMatch(new RegExp(`^org/ph +\\d+ +0 +46\\.8 kB +v2 ${second.slice(0, 7)} `, 'm'))
  expect(stdout).toMatch(/^org\/begun +unfinished: models pull org\/begun goes on$/m)
  expect(stdout).not.toContain('bert')
  const json = JSON.parse((await run(['models', 'list', '--json'])).stdout)
  expect(json.find(({ commit }: { commit?: string }) => commit === first)).toMatchObject({ name: repo, refs: ['main'] })
})

test('models info shows what one in the cache is, and asks no hub', async () => {
  const none = await run(['models', 'info', repo])
  expect([none.code, none.stderr, none.asked]).toEqual([
    69,
    `longwave: org/ph: not in ${join(home, 'hub')}, or not all of it: longwave models pull org/ph brings it there\n`,
    [],
  ])
  await pull(repo)
  const { code, stdout, asked } = await run(['models', 'info', repo])
  expect([code, asked]).toEqual([0, []])
  expect(stdout).toMatch(/^name +org\/ph$/m)
  expect(stdout).toMatch(new RegExp(`^revision +main ${first}$`, 'm'))
  expect(stdout).toMatch(/^licence +apache-2\.0$/m)
  expect(stdout).toMatch(/^kind +Caduceus/m)
  expect(stdout).toMatch(/^parameters +\d+$/m)
  expect(stdout).toMatch(/^input +caduceus, \d+ tokens$/m)
  expect(stdout).toMatch(/^blocks +2 x bidirectional, d_model 16$/m)
})

describe('models verify', () => {
  const blob = () => realpathSync(inRepo('snapshots', first, 'model.safetensors'))

  test('hashes all that is there', async () => {
    await pull(repo)
    await pull(`${repo}@v2`)
    const { code, stdout, asked } = await run(['models', 'verify', repo])
    expect([code, asked]).toEqual([0, []])
    expect(stdout.trimEnd().split('\n')).toHaveLength(6)
    expect(stdout.match(/^ok +org\/ph +/gm)).toHaveLength(6)
    expect((await run(['models', 'verify'])).stdout).toBe(stdout)
    expect((await run(['models', 'verify', `${repo}@v2`])).stdout.trimEnd().split('\n')).toHaveLength(3)
  })

  test('finds a bit that has changed, and says what to do, which helps', async () => {
    await pull(repo)
    const bytes = readFileSync(blob())
    bytes[1000] ^= 1
    writeFileSync(blob(), bytes)
    const { code, stdout, stderr } = await run(['models', 'verify', repo])
    expect([code, stdout.match(/^damaged +org\/ph +\w+ +model\.safetensors$/gm)?.length]).toEqual([69, 1])
    expect(stderr).toBe(
      `longwave: ${blob()}: is damaged; remove it, and longwave models pull org/ph@${first} brings it again\n`,
    )
    rmSync(blob())
    expect((await run(['models', 'verify', repo])).stdout).toMatch(/^missing +org\/ph +\w+ +model\.safetensors$/m)
    expect((await pull(`${repo}@${first}`)).code).toBe(0)
    expect((await run(['models', 'verify', repo])).code).toBe(0)
  })

  test('says where nothing tells the hash', async () => {
    await pull(repo)
    rmSync(inRepo('snapshots', first, 'README.md'))
    writeFileSync(inRepo('snapshots', first, 'notes.txt'), 'mine')
    const { code, stdout } = await run(['models', 'verify', repo])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^unknown +org\/ph +\w+ +notes\.txt$/m)
  })

  test.each([
    ['a bundled model', 'origin', 2, 'origin: expected a model of the hub: ORG/NAME or ORG/NAME@REVISION'],
    ['one that is not there', repo, 69, 'org/ph: not in '],
  ])('refuses %s', async (_, name, exitCode, line) => {
    for (const verb of ['verify', 'remove']) {
      const { code, stderr } = await run(['models', verb, name])
      expect([code, stderr]).toEqual([exitCode, expect.stringContaining(`longwave: ${line}`)])
    }
  })
})

describe('models remove', () => {
  test('removes a revision, and of the contents those that no other has', async () => {
    await pull(repo)
    await pull(`${repo}@v2`)
    const { code, stdout, stderr } = await run(['models', 'remove', `${repo}@v2`])
    expect([code, stdout, stderr]).toEqual([0, '', `longwave: org/ph@v2: removed, ${card('cc-by-nc-4.0').length} B\n`])
    expect(readdirSync(inRepo('snapshots'))).toEqual([first])
    expect(readdirSync(inRepo('refs'))).toEqual(['main'])
    expect(readdirSync(inRepo('blobs'))).toHaveLength(3)
    expect((await run(['models', 'verify', repo])).code).toBe(0)
    await run(['models', 'remove', `${repo}@main`])
    expect(readdirSync(join(home, 'hub'))).toEqual([])
  })

  test('removes what an unfinished pull has left', async () => {
    hub.faults = [(_, response, { host }) => host === 'cdn' && refuse(response, 404, '')]
    await pull(repo)
    await pull(`${repo}@v2`)
    const left = inRepo('blobs', `${hub.etag(repo, first, 'model.safetensors')}.longwave.incomplete`)
    writeFileSync(left, 'x')
    expect((await run(['models', 'remove', `${repo}@${second}`])).code).toBe(0)
    expect(existsSync(left)).toBe(false)
    expect((await run(['models', 'remove', repo])).code).toBe(0)
    expect(readdirSync(join(home, 'hub'))).toEqual([])
  })

  test('removes links, not what they lead to', async () => {
    await pull(repo)
    const outside = mkdtempSync(join(folder, 'outside '))
    writeFileSync(join(outside, 'mine'), 'mine')
    symlinkSync(outside, inRepo('snapshots', first, 'more'))
    symlinkSync(join(outside, 'mine'), inRepo('blobs', 'f'.repeat(64)))
    symlinkSync(`../../blobs/${'f'.repeat(64)}`, inRepo('snapshots', first, 'mine'))
    expect((await run(['models', 'remove', repo])).code).toBe(0)
    expect(readdirSync(outside)).toEqual(['mine'])
  })

  test.each([
    ['models--org--ph', (): string => inRepo()],
    ['its snapshots', () => inRepo('snapshots')],
    ['its contents', () => inRepo('blobs')],
  ])('refuses where %s is a link to elsewhere', async (_, path) => {
    await pull(repo)
    await pull(`${repo}@v2`)
    const outside = mkdtempSync(join(folder, 'outside '))
    renameSync(path(), join(outside, 'moved'))
    symlinkSync(join(outside, 'moved'), path())
    const before = readdirSync(outside, { recursive: true }).length
    const { code, stderr } = await run(['models', 'remove', `${repo}@v2`])
    expect([code, stderr]).toEqual([69, expect.stringMatching(/is a link or lies behind one, so it is not removed\n$/)])
    expect(readdirSync(outside, { recursive: true })).toHaveLength(before)
  })

  // https://huggingface.co/docs/huggingface_hub, "shared blobs": from version 2 on large contents lie once for all models.
  test('leaves what several models share to huggingface_hub', async () => {
    await pull(repo)
    const blob = inRepo('blobs', hub.etag(repo, first, 'model.safetensors'))
    const shared = join(home, 'hub/blobs/ab', 'ab'.repeat(32))
    mkdirSync(join(home, 'hub/blobs/ab'), { recursive: true })
    renameSync(blob, shared)
    symlinkSync(`../../blobs/ab/${'ab'.repeat(32)}`, blob)
    expect((await run(['models', 'verify', repo])).code).toBe(0)
    expect((await embed(repo, offline)).code).toBe(0)
    expect((await run(['models', 'remove', repo])).code).toBe(0)
    expect([existsSync(inRepo()), lstatSync(shared).isFile()]).toEqual([false, true])
  })
})
