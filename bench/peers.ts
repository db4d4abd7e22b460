/**
 * idat against its peers, side by side in one run: see README.md.
 *
 *     npm run bench:peers -- [--quick] [--rounds N] [--modes LIST] [--python PATH] [--name NAME]
 */
import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { IdatError } from '../src/errors.js';
import { writeFileAtomic } from '../src/files/atomic-write.js';
import { type Checked, compare, deviationOf, GRADIENT_TOLERANCE, LOSS_TOLERANCE } from './agreement.js';
import { secondsToFirstStep, watchLinearProbing, watchTraining } from './fresh-process.js';
import { Idat } from './idat.js';
import { gitState, machine } from './machine.js';
import { ADAPTERS, type AdapterName, BATCH_SIZE, makeProblem } from './problem.js';
import {
  checkPython,
  fastest,
  MODES,
  type Mode,
  makeWeights,
  measurePeakBytes,
  type Part,
  PyTorch,
} from './pytorch.js';
import { type Row, takeTurns } from './readings.js';
import { FORWARD_TABLE, PRODUCT_TABLE, report, stepTable } from './report.js';
import type { Result } from './result.js';
import { Tfjs } from './tfjs.js';
import { VARIANTS } from './variants.js';

const bench = fileURLToPath(new URL('../../', import.meta.url));
const folder = join(bench, 'cache');

interface Plan {
  readonly quick: boolean;
  readonly rounds: number;
  readonly python: string;
  readonly name: string;
  /** Seconds one request to a compiled mode may take. */
  readonly compileLimit: number;
  readonly modes: readonly Mode[];
  readonly adapters: readonly AdapterName[];
}

interface Contestants {
  readonly idat: Idat;
  readonly tfjs: Tfjs;
  /** Those that still take part. */
  readonly pytorch: PyTorch[];
}

const note = (text: string) => process.stderr.write(`${text}\n`);

function planFrom(args: string[]): Plan {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      modes: { type: 'string' },
      python: { type: 'string', default: join(bench, '.venv/bin/python') },
      name: { type: 'string' },
      'compile-limit': { type: 'string', default: '300' },
    },
  });
  const { quick, python } = values;
  const { cpu, cores } = machine();
  const slug = `${cpu} ${cores} cores${quick ? ' quick' : ''}`.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  return {
    quick,
    python,
    rounds: positive('--rounds', values.rounds ?? (quick ? '2' : '3')),
    compileLimit: positive('--compile-limit', values['compile-limit']),
    name: values.name ?? slug,
    modes: modesFrom(values.modes ?? (quick ? MODES.slice(0, 2) : MODES).join()),
    adapters: quick ? ['parallel'] : ADAPTERS,
  };
}

/** The first of them, eager float32, is what all others are measured against. */
function modesFrom(text: string): Mode[] {
  const wanted = text.split(',').map((name) => name.trim());
  const unknown = wanted.find((name) => !MODES.some((mode) => mode === name));
  if (unknown !== undefined) {
    throw new IdatError('bench.arguments', `--modes: expected names of ${MODES.join(', ')}, got '${unknown}'`);
  }
  return MODES.filter((mode, i) => i === 0 || wanted.includes(mode));
}

function positive(flag: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new IdatError('bench.arguments', `${flag}: expected a whole number from 1, got '${text}'`);
}

async function main(): Promise<void> {
  const plan = planFrom(process.argv.slice(2));
  checkPython(plan.python);
  note('making weights and batch');
  await makeProblem(folder, () => makeWeights(plan.python, folder));
  const result: Result = {
    format: 'idat-bench-peers-1',
    command: ['npm run bench:peers --', ...process.argv.slice(2)].join(' '),
    measuredAt: new Date().toISOString(),
    machine: machine(),
    versions: {},
    git: gitState(bench),
    ...{ agreement: [], tried: [], rows: [], flopsPerImage: {}, memory: [], failures: [] },
    ...{ watched: {}, linearProbing: null, secondsToFirstStep: null },
  };
  const contestants = await start(plan, result);
  try {
    await agree(plan, contestants, result);
    const rows = await rowsFor(plan, contestants, result);
    result.rows = await takeTurns(rows, plan.rounds, note);
    for (const adapter of plan.adapters) {
      result.flopsPerImage[adapter] = await contestants.idat.flopsPerImage('float32', adapter);
    }
  } finally {
    const all = [contestants.idat, contestants.tfjs, ...contestants.pytorch];
    await Promise.all(all.map((contestant) => contestant.close()));
  }
  await measureFreshProcesses(plan, result);

  await mkdir(join(bench, 'results'), { recursive: true });
  const path = join(bench, 'results', `${plan.name}.json`);
  await writeFileAtomic(path, `${JSON.stringify(result, null, 2)}\n`);
  process.stdout.write(`${report(result)}\n\nall readings: ${path}\n`);
}

async function start({ modes, python, compileLimit }: Plan, result: Result): Promise<Contestants> {
  note('starting the contestants');
  const idat = await Idat.start(folder);
  const tfjs = await Tfjs.start(folder);
  const pytorch = await Promise.all(modes.map((mode) => PyTorch.start(mode, python, folder, compileLimit)));
  result.versions = { ...idat.versions, ...tfjs.versions, ...pytorch[0]!.greeting.versions };
  return { idat, tfjs, pytorch };
}

/**
 * Losses and gradients of every contestant against PyTorch eager float32.
 * @throws IdatError `bench.disagreement` when one that computes in float32 is beyond the tolerance
 */
async function agree(plan: Plan, { idat, tfjs, pytorch }: Contestants, result: Result): Promise<void> {
  note('comparing losses and gradients');
  const eager = pytorch[0]!;
  for (const adapter of plan.adapters) {
    const reference = await eager.check(adapter, 8);
    for (const { name, exact } of VARIANTS) {
      await judge(result, `idat ${name}`, adapter, exact, await idat.check(name, adapter, 8), reference);
    }
  }
  await judge(result, 'TensorFlow.js wasm', 'parallel', true, await tfjs.check(1), await eager.check('parallel', 1));
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
  reference: Checked,
): Promise<void> {
  const agreement = await compare(found, reference);
  result.agreement.push({ name, adapter, ...agreement });
  const { lossDeviation, gradientDeviation, worstGradient } = agreement;
  if (!exact || (lossDeviation <= LOSS_TOLERANCE && gradientDeviation <= GRADIENT_TOLERANCE)) return;
  throw new IdatError(
    'bench.disagreement',
    `${name} and PyTorch eager float32 do not compute the same (${adapter} adapters): losses differ by ${lossDeviation.toExponential(1)} (allowed ${LOSS_TOLERANCE}), the gradient of ${worstGradient} by ${gradientDeviation.toExponential(1)} of its largest entry (allowed ${GRADIENT_TOLERANCE}); nothing was timed\n${JSON.stringify({ found: found.losses, reference: reference.losses }, null, 2)}`,
  );
}

/** Every row of every table; a mode of PyTorch that fails or takes too long is left out, with the reason. */
async function rowsFor(plan: Plan, contestants: Contestants, result: Result): Promise<Row[]> {
  const { idat, tfjs, pytorch } = contestants;
  const rows: Row[] = [idat.productRow(PRODUCT_TABLE), tfjs.productRow(PRODUCT_TABLE)];
  for (const adapter of plan.adapters) {
    for (const { name } of VARIANTS) rows.push(await idat.row(stepTable(adapter), 'step', adapter, name));
  }
  for (const { name } of VARIANTS) rows.push(await idat.row(FORWARD_TABLE, 'forward', 'parallel', name));
  for (const peer of [...pytorch]) {
    try {
      rows.push(...(await pytorchRows(plan, peer, contestants.pytorch, result)));
    } catch (error) {
      if (peer === pytorch[0]) throw error; // what all others are measured against
      result.failures.push({ name: `PyTorch ${peer.mode}`, reason: (error as Error).message });
      pytorch.splice(pytorch.indexOf(peer), 1);
      await peer.close();
    }
  }
  rows.push(tfjs.row(stepTable('parallel'), 'step'), tfjs.row(FORWARD_TABLE, 'forward'));
  return rows.sort((a, b) => a.table.localeCompare(b.table));
}

async function pytorchRows(plan: Plan, peer: PyTorch, pytorch: readonly PyTorch[], result: Result): Promise<Row[]> {
  note(`PyTorch ${peer.mode}: looking for the fastest batch size and number of threads`);
  const best = async (part: Part) => {
    if (plan.quick) return QUICK_SETTING;
    const tried = await peer.search(part, 'parallel');
    result.tried.push(...tried);
    const { batch, threads } = fastest(tried);
    return { batch, threads };
  };
  const reference = pytorch[0]!;
  if (peer.mode.endsWith('bfloat16') && !peer.greeting.bfloat16) {
    throw new IdatError('bench.bfloat16', 'the processor has no instructions for it');
  }
  if (peer !== reference) {
    const exact = !peer.mode.endsWith('bfloat16');
    const [found, expected] = [await peer.check('parallel', 8), await reference.check('parallel', 8)];
    await judge(result, `PyTorch ${peer.mode}`, 'parallel', exact, found, expected);
  }
  const forStep = await best('step');
  const rows = plan.adapters.map((adapter) => peer.row(stepTable(adapter), 'step', adapter, forStep));
  const forward = peer.row(FORWARD_TABLE, 'forward', 'parallel', await best('forward'));
  if (!plan.quick) for (const row of rows) await row.warmUp(); // compiles; a failure belongs here, not in the rounds
  return [...rows, forward];
}

const QUICK_SETTING = { batch: 8, threads: availableParallelism() };

async function measureFreshProcesses(plan: Plan, result: Result): Promise<void> {
  for (const { name, settings } of VARIANTS) {
    note(`idat ${name}: a training run of its own`);
    const run = await watchTraining(folder, plan.quick ? 2 : 4, settings);
    result.watched[name] = run;
    result.memory.push({ name: `idat ${name}`, peakBytes: run.peakBytes });
  }
  const failed = new Set(result.failures.map(({ name }) => name));
  for (const mode of plan.quick ? plan.modes.slice(0, 1) : plan.modes) {
    const name = `PyTorch ${mode}`;
    if (failed.has(name)) continue;
    note(`${name}: peak memory at batch ${BATCH_SIZE}`);
    result.memory.push({ name, peakBytes: await measurePeakBytes(mode, plan.python, folder, plan.compileLimit) });
  }
  note('from command to first step');
  result.secondsToFirstStep = [];
  for (let i = 0; i < (plan.quick ? 1 : 3); i++) result.secondsToFirstStep.push(await secondsToFirstStep(folder));
  note('linear probing');
  const { epochSeconds } = await watchLinearProbing(folder, plan.quick ? 16 : 64, 2);
  result.linearProbing = epochSeconds;
}

try {
  await main();
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  if (!(error instanceof IdatError) && !code?.startsWith('ERR_PARSE_ARGS')) throw error;
  note(message);
  process.exit(1); // contestants that still run end with their stdin
}
