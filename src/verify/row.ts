/**
 * What `idat verify` reports: one row for each quantity and variant, and the bounds that decide it.
 */

/** absolute: largest difference; relative: the same over the tensor's largest magnitude; exact: must be equal. */
export type Kind = 'absolute' | 'relative' | 'exact';

export interface Row {
  readonly quantity: string;
  /** The variant and the tensor with the worst deviation, or why the row is not covered. */
  readonly detail: string;
  /** NaN when a number on either side is not finite; null when nothing was compared. */
  readonly deviation: number | null;
  readonly kind: Kind;
  readonly bound: number | null;
  /** What PyTorch's own float32 deviates by from float64 (worst over variants), where the directory tells. */
  readonly pytorch: number | null;
  /** False only for status `failed`. */
  readonly ok: boolean;
  readonly status: 'ok' | 'failed' | 'not covered';
}

/**
 * The bounds suggested in the reference's README, under the names of its float32_deviation.json. Where its table has no
 * row of its own (d total / d logits outside `one step`, losses and logits of the baseline steps), the bound is
 * that of the nearest row, which is ten times what PyTorch was measured to deviate by, rounded up.
 */
export const BOUNDS = {
  'one step: labels': ['exact', 0],
  'one step: loss terms': ['absolute', 1e-5],
  'one step: logits': ['relative', 1e-5],
  'one step: d total / d logits': ['relative', 5e-6],
  'one step: gradients of trainable tensors': ['relative', 2e-5],
  'one step, wide adapters: loss terms': ['absolute', 1e-5],
  'one step, wide adapters: logits': ['relative', 1e-5],
  'one step, wide adapters: d total / d logits': ['relative', 5e-6],
  'one step, wide adapters: gradients of trainable tensors': ['relative', 1e-5],
  'drop path: multipliers': ['relative', 1e-6],
  'drop path: loss terms': ['absolute', 5e-6],
  'drop path: logits': ['relative', 1e-5],
  'drop path: d total / d logits': ['relative', 5e-6],
  'drop path: gradients of trainable tensors': ['relative', 1e-5],
  'trajectory: learning rates': ['relative', 1e-12],
  'trajectory: tensors with weight decay': ['exact', 0],
  'trajectory: per-step losses': ['absolute', 5e-5],
  'trajectory: final trainable tensors': ['relative', 1e-3],
  'trajectory: final held-out logits': ['relative', 2e-5],
  'baselines: per-step losses': ['absolute', 1e-5],
  'baselines: final trainable tensors': ['relative', 5e-4],
  'baselines: final held-out logits': ['relative', 2e-5],
  'baseline step: loss': ['absolute', 1e-5],
  'baseline step: logits': ['relative', 1e-5],
  'baseline step: gradients': ['relative', 1e-5],
  'baseline step: gradient of the input': ['relative', 1e-5],
  'full fine-tuning step: loss': ['absolute', 1e-5],
  'full fine-tuning step: logits': ['relative', 1e-5],
  'full fine-tuning step: gradients': ['relative', 1e-5],
  'full fine-tuning step: gradient of the input': ['relative', 1e-5],
  'Swin step: relative positions and masks': ['exact', 0],
  'Swin step: loss': ['absolute', 2e-6],
  'Swin step: logits': ['relative', 5e-6],
  'Swin step: gradient of the input': ['relative', 5e-6],
  'Swin step: gradients': ['relative', 1e-5],
  'tensor names: differing from the published': ['exact', 0],
  'learning-rate schedules': ['relative', 1e-12],
  'preprocessing: decoded, lossless formats': ['exact', 0],
  'preprocessing: decoded, JPEG (levels)': ['absolute', 4],
  'preprocessing: resized': ['exact', 0],
  'preprocessing: normalised': ['absolute', 1e-7],
} as const satisfies Record<string, readonly [Kind, number]>;

export type Quantity = keyof typeof BOUNDS;

/** The largest deviation, and where. */
export interface Deviation {
  readonly value: number;
  readonly at: string;
}

/** The largest difference of two lists of numbers; NaN when any is not finite. */
export function absolute(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  if (ours.length !== theirs.length) return Number.NaN;
  let largest = 0;
  for (let i = 0; i < theirs.length; i++) {
    const difference = Math.abs(ours[i]! - theirs[i]!);
    if (!Number.isFinite(difference)) return Number.NaN;
    if (difference > largest) largest = difference;
  }
  return largest;
}

/** The largest difference over their largest magnitude; where they are all zero, the difference itself. */
export function relative(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  let peak = 0;
  for (let i = 0; i < theirs.length; i++) peak = Math.max(peak, Math.abs(theirs[i]!));
  return absolute(ours, theirs) / (peak || 1);
}

export function worst(deviations: Iterable<Deviation>): Deviation {
  let result: Deviation = { value: 0, at: '' };
  for (const deviation of deviations) {
    if (Number.isNaN(deviation.value)) return deviation;
    if (deviation.value >= result.value) result = deviation;
  }
  return result;
}

/**
 * The rows as a table: one line for each quantity, the worst of its variants, then every row that failed.
 */
export function formatRows(rows: readonly Row[]): string {
  const byQuantity = new Map<string, Row[]>();
  for (const row of rows) byQuantity.set(row.quantity, [...(byQuantity.get(row.quantity) ?? []), row]);
  const lines = [...byQuantity.values()].map((group) =>
    cells(
      group.reduce((a, b) => (severity(b) > severity(a) ? b : a)),
      group.length,
    ),
  );
  const table = [['', 'quantity', 'deviation', 'bound', '', 'PyTorch', 'worst at'], ...lines];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((line) => line[column]!.length)));
  const text = table.map((line) => line.map((cell, column) => cell.padEnd(widths[column]!)).join('  '));
  const failed = rows.filter((row) => !row.ok).map((row) => `failed: ${row.quantity}, ${row.detail}: ${amount(row)}`);
  return [...text, ...(failed.length > 0 ? ['', ...failed] : [])].map((line) => line.trimEnd()).join('\n');
}

/** Failed rows come before others, NaN before numbers. */
function severity(row: Row): number {
  const value = row.deviation ?? 0;
  return row.ok ? Math.min(value, 1e300) : Number.isNaN(value) ? Number.POSITIVE_INFINITY : 1e301 + value;
}

function cells(row: Row, count: number): string[] {
  const mark = row.status === 'not covered' ? '-' : row.ok ? 'ok' : 'FAIL';
  if (row.deviation === null) return [mark, row.quantity, '', '', '', '', row.detail];
  const where = count > 1 ? `${row.detail} (of ${count})` : row.detail;
  return [
    mark,
    row.quantity,
    short(row.deviation),
    short(row.bound!),
    row.kind,
    row.pytorch === null ? '' : short(row.pytorch),
    where,
  ];
}

const amount = (row: Row): string => `${short(row.deviation!)} ${row.kind}, bound ${short(row.bound!)}`;

const short = (value: number): string => (value === 0 ? '0' : value.toExponential(1));
