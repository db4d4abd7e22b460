/** Whether two contestants computed the same: losses, and the gradient of every trained tensor. */
import { openSafetensors } from '../src/files/node/safetensors-file.js';

export interface Checked {
  losses: Readonly<Record<string, number>>;
  /** File of the gradients, by name. */
  gradients: string;
}

export interface Agreement {
  /** Largest |a − b| / |b| of the four losses. */
  lossDeviation: number;
  /** Largest |a − b| of a tensor's gradient over the tensor's largest |b|, and which tensor that is. */
  gradientDeviation: number;
  worstGradient: string;
}

export const LOSS_TOLERANCE = 1e-4;
/** Far above float32's rounding, far below any mistake. */
export const GRADIENT_TOLERANCE = 1e-3;

/** How far `found` is from `reference`. */
export async function compare(found: Checked, reference: Checked): Promise<Agreement> {
  const deviations = Object.entries(reference.losses).map(
    ([name, loss]) => Math.abs((found.losses[name] ?? Number.NaN) - loss) / Math.abs(loss),
  );
  return { lossDeviation: largest(deviations), ...(await compareGradients(found.gradients, reference.gradients)) };
}

async function compareGradients(found: string, reference: string) {
  const [a, b] = await Promise.all([openSafetensors(found), openSafetensors(reference)]);
  try {
    let worst = { gradientDeviation: 0, worstGradient: 'none' };
    for (const name of b.file.tensors.keys()) {
      const [x, y] = await Promise.all([a.readFloat32(name), b.readFloat32(name)]);
      const deviation = deviationOf(x, y);
      if (!(deviation <= worst.gradientDeviation)) worst = { gradientDeviation: deviation, worstGradient: name };
    }
    return worst;
  } finally {
    await Promise.all([a.close(), b.close()]);
  }
}

/** Largest |a − b| over the largest |b|; NaN when a number is none. */
export function deviationOf(found: ArrayLike<number>, reference: ArrayLike<number>): number {
  const both = Array.from(reference, (value, i) => [Math.abs((found[i] ?? Number.NaN) - value), Math.abs(value)]);
  return largest(both.map(([difference]) => difference!)) / largest(both.map(([, size]) => size!));
}

/** Math.max would overflow the stack on long lists; NaN wins, as there. */
const largest = (values: readonly number[]): number => values.reduce((a, b) => (Number.isNaN(b) || b > a ? b : a), 0);
