/** Bytes that may be taken at once; who asks for more than are left waits, in turn. */
export class Budget {
  private readonly waiting: { bytes: number; go: () => void }[] = []

  constructor(private left: number) {}

  /** Whether they could be had without waiting. */
  takeNow(bytes: number): boolean {
    if (this.waiting.length > 0 || bytes > this.left) return false
    this.left -= bytes
    return true
  }

  async take(bytes: number): Promise<void> {
    if (!this.takeNow(bytes)) await new Promise<void>((go) => this.waiting.push({ bytes, go }))
  }

  give(bytes: number): void {
    this.left += bytes
    while (this.waiting.length > 0 && this.waiting[0].bytes <= this.left) {
      const { bytes: taken, go } = this.waiting.shift()!
      this.left -= taken
      go()
    }
  }
}
