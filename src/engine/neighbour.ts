import type { MessagePort } from 'node:worker_threads'
import type { FloatArray } from '../backends/backend.js'

/** States, or what is carried of outputs, which of some is nothing. */
export type Numbers = (FloatArray | null)[]

/** The other half of a sequence, which another worker sweeps. */
export interface Neighbour {
  /** Tokens of it. */
  readonly tokens: number
  send(step: number, numbers: Numbers): void
  /** What it sends of this step; steps before it are over. */
  receive(step: number): Promise<Numbers>
}

/** On which side it lies. */
export interface Neighbours {
  left?: Neighbour
  right?: Neighbour
}

interface Message {
  step: number
  numbers: Numbers
}

/** The worker at the other end of a port. */
export class PortNeighbour implements Neighbour {
  private readonly arrived: Message[] = []
  private wake = () => {}

  constructor(
    private readonly port: MessagePort,
    readonly tokens: number,
  ) {
    port.on('message', (message: Message) => {
      this.arrived.push(message)
      this.wake()
    })
  }

  send(step: number, numbers: Numbers): void {
    this.port.postMessage({ step, numbers } satisfies Message)
  }

  async receive(step: number): Promise<Numbers> {
    while (true) {
      const message = this.arrived.shift()
      if (message?.step === step) return message.numbers
      if (message) continue
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  close(): void {
    this.port.close()
  }
}
