import { print } from '../src/output/print.js'
import { LongwaveCommand } from '../src/shell/command.js'
import { shared } from '../src/shell/flags.js'

export default class Doctor extends LongwaveCommand {
  static override description =
    'Show what this machine has, which backend and kernels were chosen, and why not the others; what reads audio.'
  static override flags = { json: shared.json }

  async run(): Promise<void> {
    const { flags } = await this.parse(Doctor)
    const { inspectMachine } = await import('../src/tasks/doctor.js')
    const { columns } = await import('../src/output/columns.js')
    const machine = await inspectMachine()
    const { version } = this.config
    if (flags.json) return print(`${JSON.stringify({ longwave: version, ...machine }, null, 2)}\n`)
    const yes = (works: boolean) => (works ? 'yes' : 'no')
    const rows = [
      ['longwave', version],
      ['node', `${machine.node} on ${machine.platform}`],
      ['cpu', machine.cpu],
      ['cores', `${machine.cores}, ${machine.threads} usable (default of --threads)`],
      ['memory', `${(machine.memory / 2 ** 30).toFixed(1)} GiB`],
      ['wasm simd', yes(machine.simd)],
      ['wasm relaxed simd', yes(machine.relaxed_simd)],
      ['onnxruntime', `${yes(machine.onnxruntime.works)}: ${machine.onnxruntime.detail}`],
      ['audio', machine.audio],
      ['ffmpeg', `${yes(machine.ffmpeg.works)}: ${machine.ffmpeg.detail}`],
      ...machine.backends.map((b) => [`backend ${b.name}`, `${b.state}: ${b.detail}`]),
    ]
    await print(columns(rows))
  }
}
