/**
 * Keeps something up with what changes: asks at once, then again after changes, but no more often than every so many
 * milliseconds however fast they come, and one question at a time. What failed is asked again.
 */
export class Refresher<T> {
  private readonly stop = new AbortController();
  private timer: ReturnType<typeof setTimeout> | null = null;
  private asking = false;
  private changed = false;
  private last = -Infinity;

  constructor(
    private readonly everyMs: number,
    private readonly ask: (signal: AbortSignal) => Promise<T>,
    private readonly told: { found(answer: T): void; failed(error: unknown): void },
  ) {}

  /** Something has changed. */
  change(): void {
    this.changed = true;
    if (this.asking || this.timer !== null || this.stop.signal.aborted) return;
    const wait = Math.max(0, this.last + this.everyMs - performance.now());
    this.timer = setTimeout(() => void this.go(), wait);
  }

  /** Nothing is asked or told any more. */
  close(): void {
    this.stop.abort();
    clearTimeout(this.timer ?? undefined);
  }

  private async go(): Promise<void> {
    const { signal } = this.stop;
    [this.timer, this.asking, this.changed, this.last] = [null, true, false, performance.now()];
    try {
      const answer = await this.ask(signal);
      if (!signal.aborted) this.told.found(answer);
    } catch (error) {
      this.changed = true;
      if (!signal.aborted) this.told.failed(error);
    }
    this.asking = false;
    if (this.changed) this.change();
  }
}
