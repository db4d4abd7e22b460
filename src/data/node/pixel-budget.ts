/** How much may be decoded at a time: photographs of a phone take 36 MB each, and a bomb of some kilobytes half a gigabyte. */

export class Budget {
  private free: number;
  private readonly waiting: { amount: number; start: () => void }[] = [];

  /** @param limit of what may be taken together; a single one that needs more has it all to itself */
  constructor(private readonly limit: number) {
    this.free = limit;
  }

  /** Runs `work` when there is room for it, in order of asking. */
  async spend<T>(amount: number, work: () => Promise<T>): Promise<T> {
    const taken = Math.min(amount, this.limit);
    if (this.waiting.length > 0 || taken > this.free) {
      await new Promise<void>((start) => this.waiting.push({ amount: taken, start }));
    } else {
      this.free -= taken;
    }
    try {
      return await work();
    } finally {
      this.free += taken;
      while (this.waiting.length > 0 && this.waiting[0]!.amount <= this.free) {
        const { amount: next, start } = this.waiting.shift()!;
        this.free -= next;
        start();
      }
    }
  }
}
