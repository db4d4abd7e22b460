/** What a rewriting pass is: one file, exact unless it says otherwise, and with a switch. */
import type { Tensor } from '../tensor.js';

export interface Pass {
  readonly name: string;
  /** What it saves, in a few words. */
  readonly title: string;
  /** Rebuilds everything that leads to `outputs`, in their order. */
  apply(outputs: readonly Tensor[]): Tensor[];
}
