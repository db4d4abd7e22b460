/** Collects deviations while a reference is replayed, and keeps the worst of each quantity and variant. */
import { BOUNDS, type Kind, type Quantity } from './bounds.js';

export interface Row {
  readonly quantity: string;
  /** The variant, image or schedule it was measured on. */
  readonly detail: string;
  readonly kind: Kind;
  /** The worst deviation seen; NaN when a number was not finite. */
  readonly deviation: number;
  readonly bound: number;
  /** PyTorch's own float32 deviation from float64 on this reference, where it was measured. */
  readonly pytorch: number | null;
  /** The tensor or step where the worst was seen. */
  readonly worst: string;
  readonly status: 'ok' | 'failed' | 'not covered';
}

export type Measured = Readonly<Record<string, { readonly max_abs: number; readonly max_rel: number }>>;

export class Ledger {
  private readonly worst = new Map<string, { quantity: Quantity; detail: string; deviation: number; where: string }>();
  private readonly skipped: Row[] = [];

  constructor(private readonly measured: Measured) {}

  /** Compares two lists of numbers that should be equal. `where` says what they are. */
  compare(
    quantity: Quantity,
    detail: string,
    where: string,
    found: ArrayLike<number>,
    expected: ArrayLike<number>,
  ): void {
    const { kind } = BOUNDS[quantity];
    let difference = found.length === expected.length ? 0 : Number.NaN;
    let largest = 0;
    for (let i = 0; i < expected.length; i++) {
      const d = Math.abs(found[i]! - expected[i]!);
      // a NaN must win over every number
      if (!(d <= difference)) difference = d;
      largest = Math.max(largest, Math.abs(expected[i]!));
    }
    const deviation = kind === 'relative' ? (difference === 0 ? 0 : difference / largest) : difference;
    const key = `${quantity}|${detail}`;
    const before = this.worst.get(key);
    if (!before || !(deviation <= before.deviation)) {
      if (before && Number.isNaN(before.deviation)) return;
      this.worst.set(key, { quantity, detail, deviation, where });
    }
  }

  notCovered(quantity: string, reason: string): void {
    this.skipped.push({
      quantity,
      detail: reason,
      kind: 'absolute',
      deviation: 0,
      bound: 0,
      pytorch: null,
      worst: '',
      status: 'not covered',
    });
  }

  rows(): Row[] {
    const rows = [...this.worst.values()].map(({ quantity, detail, deviation, where }): Row => {
      const { kind, bound, measured } = BOUNDS[quantity] as (typeof BOUNDS)[Quantity] & { measured: string | null };
      const own = measured === null ? undefined : this.measured[measured];
      const pytorch = own ? (kind === 'relative' ? own.max_rel : own.max_abs) : null;
      return {
        quantity,
        detail,
        kind,
        deviation,
        bound,
        pytorch,
        worst: where,
        status: deviation <= bound ? 'ok' : 'failed',
      };
    });
    return [...rows, ...this.skipped];
  }
}
