/** Who takes part: started, checked against each other, and made into rows. */
import { availableParallelism } from 'node:os';
import { IdatError } from '../src/errors.js';
import { type Checked, compare, deviationOf, GRADIENT_TOLERANCE, LOSS_TOLERANCE } from './agreement.js';
import { Idat } from './idat.js';
import type { Plan } from './plan.js';
import type { AdapterName } from './problem.js';
import { fastest, type Mode, type Part, PyTorch, type Setting } from './pytorch.js';
import type { Row } from './readings.js';
import { FORWARD_TABLE, PRODUCT_TABLE, stepTable } from './report.js';
import type { Result } from './result.js';
import { Tfjs } from './tfjs.js';
import { VARIANTS } from './variants.js';

export interface Contestants {
  readonly idat: Idat;
  readonly tfjs: Tfjs;
  /** PyTorch eager float32, which all others are held against. */
  readonly reference: PyTorch;
  /** The other modes of PyTorch that take part. */
  readonly peers: PyTorch[];
}

export async function startContestants({ python, compileLimit, folder }: Plan, result: Result): Promise<Contestants> {
  const idat = await Idat.start(folder);
  const tfjs = await Tfjs.start(folder);
  const reference = await PyTorch.start('eager float32', python, folder, compileLimit);
  result.versions = { ...idat.versions, ...tfjs.versions, ...reference.greeting.versions };
  return { idat, tfjs, reference, peers: [] };
}

export async function closeContestants({ idat, tfjs, reference, peers }: Contestants): Promise<void> {
  await Promise.all([idat, tfjs, reference, ...peers].map((contestant) => contestant.close()));
}

/** Images the losses are compared on: two calls of idat's. */
const CHECKED_IMAGES = 8;

/**
 * Losses and gradients of idat and TensorFlow.js against PyTorch eager float32.
 * @throws IdatError `bench.disagreement` when one that computes in float32 is beyond the tolerance
 */
export async function agree({ adapters }: Plan, contestants: Contestants, result: Result): Promise<void> {
  const { idat, tfjs, reference } = contestants;
  for (const adapter of adapters) {
    const expected = await reference.check(adapter, CHECKED_IMAGES);
    for (const { name, exact } of VARIANTS) {
      const found = await idat.check(name, adapter, CHECKED_IMAGES);
      await judge(result, `idat ${name}`, adapter, exact, found, expected);
    }
  }
  const expected = await reference.check('parallel', 1); // its step is slow
  await judge(result, 'TensorFlow.js wasm', 'parallel', true, await tfjs.check(1), expected);
  const deviation = deviationOf(await tfjs.logits(), await idat.logits('float32'));
  if (!(deviation <= 1e-3)) {
    throw new IdatError('bench.disagreement', `logits of idat and TensorFlow.js differ by ${deviation} of the largest`);
  }
}

async function judge(
  result: Result,
  name: string,
  adapter: AdapterName,
  exact: boolean,
  found: Checked,
  expected: Checked,
): Promise<void> {
  const agreement = await compare(found, expected);
  result.agreement.push({ name, adapter, ...agreement });
  const { lossDeviation, gradientDeviation, worstGradient } = agreement;
  if (!exact || (lossDeviation <= LOSS_TOLERANCE && gradientDeviation <= GRADIENT_TOLERANCE)) return;
  throw new IdatError(
    'bench.disagreement',
    [
      `${name} and PyTorch eager float32 do not compute the same (${adapter} adapters), so nothing is timed:`,
      `losses differ by ${lossDeviation.toExponential(1)} (allowed ${LOSS_TOLERANCE}),`,
      `the gradient of ${worstGradient} by ${gradientDeviation.toExponential(1)} of its largest entry`,
      `(allowed ${GRADIENT_TOLERANCE})\n${JSON.stringify({ found: found.losses, expected: expected.losses })}`,
    ].join(' '),
  );
}

/** Every row of every table; a mode of PyTorch that fails or takes too long is left out, with the reason. */
export async function rowsFor(
  plan: Plan,
  contestants: Contestants,
  result: Result,
  note: (text: string) => void,
): Promise<Row[]> {
  const { idat, tfjs, reference, peers } = contestants;
  const rows: Row[] = [idat.productRow(PRODUCT_TABLE), tfjs.productRow(PRODUCT_TABLE)];
  for (const { name } of VARIANTS) {
    for (const adapter of plan.adapters) rows.push(await idat.row(stepTable(adapter), 'step', adapter, name));
    rows.push(await idat.row(FORWARD_TABLE, 'forward', 'parallel', name));
  }
  for (const mode of plan.modes) {
    note(`PyTorch ${mode}: looking for the fastest batch size and number of threads`);
    try {
      const settings = await fastestSettings(plan, mode, result);
      const peer = mode === reference.mode ? reference : await startPeer(plan, mode, contestants, result);
      const own = pytorchRows(plan, peer, settings);
      for (const row of own) await row.warmUp(); // compiles what has to be, so that failures show here
      rows.push(...own);
    } catch (error) {
      if (mode === reference.mode) throw error;
      result.failures.push({ name: `PyTorch ${mode}`, reason: (error as Error).message });
      const at = peers.findIndex((peer) => peer.mode === mode);
      for (const peer of at < 0 ? [] : peers.splice(at, 1)) await peer.close();
    }
  }
  rows.push(tfjs.row(stepTable('parallel'), 'step'), tfjs.row(FORWARD_TABLE, 'forward'));
  return rows.sort((a, b) => a.table.localeCompare(b.table));
}

function pytorchRows({ adapters }: Plan, peer: PyTorch, settings: Record<Part, Setting>): Row[] {
  return [
    ...adapters.map((adapter) => peer.row(stepTable(adapter), 'step', adapter, settings.step)),
    peer.row(FORWARD_TABLE, 'forward', 'parallel', settings.forward),
  ];
}

/** A process of its own looks for them: what it allocates for large batches is gone before the readings begin. */
async function fastestSettings(plan: Plan, mode: Mode, result: Result): Promise<Record<Part, Setting>> {
  if (plan.quick) {
    const setting = { batch: CHECKED_IMAGES, threads: availableParallelism() };
    return { step: setting, forward: setting };
  }
  const searcher = await PyTorch.start(mode, plan.python, plan.folder, plan.compileLimit);
  try {
    const [step, forward] = [await searcher.search('step', 'parallel'), await searcher.search('forward', 'parallel')];
    result.tried.push(...step, ...forward);
    return { step: fastest(step), forward: fastest(forward) };
  } finally {
    await searcher.close();
  }
}

/** Starts a mode and compares its losses, to which bfloat16 is not bound. */
async function startPeer(plan: Plan, mode: Mode, { reference, peers }: Contestants, result: Result): Promise<PyTorch> {
  const bfloat16 = mode.endsWith('bfloat16');
  if (bfloat16 && !reference.greeting.bfloat16) {
    throw new IdatError('bench.bfloat16', 'the processor has no instructions for it');
  }
  const peer = await PyTorch.start(mode, plan.python, plan.folder, plan.compileLimit);
  peers.push(peer);
  const expected = await reference.check('parallel', CHECKED_IMAGES);
  await judge(result, `PyTorch ${mode}`, 'parallel', !bfloat16, await peer.check('parallel', CHECKED_IMAGES), expected);
  return peer;
}
