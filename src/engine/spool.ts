import type { Backend, FloatArray, Tensor } from '../backends/backend.js'

/** Tensors that wait between the layers of a sweep, by number. */
export interface Spool {
  /** Keeps the numbers of x in place of those that `number` had; x stays the caller's. */
  put(number: number, x: Tensor): Promise<void>
  /** A new tensor with the numbers. */
  get(number: number): Promise<Tensor>
  close(): void
}

/** Of a stream of so many bytes: on the device, where it has that much room for it. */
export function openSpool(backend: Backend, bytes: number, room: number): Spool {
  return bytes <= room ? new DeviceSpool(backend) : new RamSpool(backend)
}

/** In the memory of the device: nothing has to be waited for. */
class DeviceSpool implements Spool {
  private readonly kept = new Map<number, Tensor>()

  constructor(private readonly backend: Backend) {}

  async put(number: number, x: Tensor): Promise<void> {
    this.backend.release(this.kept.get(number) ?? null)
    this.kept.set(number, this.backend.activate(x, 'none'))
  }

  async get(number: number): Promise<Tensor> {
    return this.backend.activate(this.kept.get(number)!, 'none')
  }

  close(): void {
    this.backend.release(...this.kept.values())
    this.kept.clear()
  }
}

/** In the memory of the process. */
class RamSpool implements Spool {
  private readonly kept: { data: FloatArray; rows: number; cols: number }[] = []

  constructor(private readonly backend: Backend) {}

  async put(number: number, x: Tensor): Promise<void> {
    this.kept[number] = { data: await this.backend.download(x), rows: x.rows, cols: x.cols }
  }

  async get(number: number): Promise<Tensor> {
    const { data, rows, cols } = this.kept[number]
    return this.backend.upload(data, rows, cols)
  }

  close(): void {
    this.kept.length = 0
  }
}
