/** The range of a run's 8-bit weights: what the machine it began on multiplies without error, and kept to from then on. */
import { IdatError } from '../errors.js';
import { largestInt8 } from '../runtime/check-int8.js';
import type { Runtime } from '../runtime/runtime.js';
import type { CompilePlan } from '../settings/plan.js';
import type { Resolved } from '../settings/record.js';

type Compiled = { readonly compile: CompilePlan };

/**
 * The plan with the range that a new run begins with, or that the run it is of began with.
 * @throws IdatError `runtime.int8`; `runtime.int8-range` where the run has weights whose products overflow here: with others it would not be the same run
 */
export async function withInt8Range<P extends Compiled>(plan: P, runtime: Runtime): Promise<P> {
  const { frozen, int8Largest: begun } = plan.compile;
  if (frozen === 'float32') return plan;
  const here = await largestInt8(runtime);
  if (begun === undefined) return withRange(plan, here);
  if (begun <= here) return plan;
  const what = `the run's 8-bit weights reach ±${begun}, and products of more than ±${here} overflow on this processor`;
  throw new IdatError('runtime.int8-range', `${what}; it can go on where it began, or a new run begin here`);
}

/**
 * The plan to look at a run with: in its own range, or in the narrower one that this processor needs, which rounds it more coarsely.
 * @param onNote told when it is
 */
export async function withInt8RangeHere<P extends Compiled>(
  plan: P,
  runtime: Runtime,
  onNote: (text: string) => void = () => {},
): Promise<P> {
  const { frozen, int8Largest: begun } = plan.compile;
  if (frozen === 'float32') return plan;
  const here = await largestInt8(runtime);
  if (begun !== undefined && begun <= here) return plan;
  if (begun !== undefined) {
    const what = `8-bit weights are rounded to ±${here}, as products overflow on this processor`;
    onNote(`${what}; the run was trained with ±${begun}, so that its numbers differ a little`);
  }
  return withRange(plan, here);
}

const withRange = <P extends Compiled>(plan: P, int8Largest: NonNullable<CompilePlan['int8Largest']>): P => ({
  ...plan,
  compile: { ...plan.compile, int8Largest },
});

/** What of it a run's record keeps. */
export const int8Record = ({ compile: { int8Largest } }: Compiled): Pick<Resolved, 'int8Largest'> =>
  int8Largest === undefined ? {} : { int8Largest };
