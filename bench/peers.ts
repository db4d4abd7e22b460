/**
 * idat against its peers, side by side in one run: see README.md.
 *
 *     npm run bench:peers -- [--quick] [--rounds N] [--modes LIST] [--python PATH] [--name NAME] [--compile-limit S]
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { IdatError } from '../src/errors.js';
import { writeFileAtomic } from '../src/files/node/atomic-write.js';
import { agree, closeContestants, rowsFor, startContestants } from './contestants.js';
import { secondsToFirstStep, watchLinearProbing, watchTraining } from './fresh-process.js';
import { gitState, machine } from './machine.js';
import { BENCH, type Plan, planFrom } from './plan.js';
import { BATCH_SIZE, makeProblem } from './problem.js';
import { checkPython, makeWeights, measurePeakBytes } from './pytorch.js';
import { takeTurns } from './readings.js';
import { report } from './report.js';
import type { Result } from './result.js';
import { VARIANTS } from './variants.js';

const note = (text: string) => process.stderr.write(`${text}\n`);

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const plan = planFrom(args);
  checkPython(plan.python);
  note('making weights and batch');
  await makeProblem(plan.folder, () => makeWeights(plan.python, plan.folder));
  const result: Result = {
    format: 'idat-bench-peers-1',
    command: ['npm run bench:peers --', ...args].join(' '),
    measuredAt: new Date().toISOString(),
    machine: machine(),
    versions: {},
    git: gitState(BENCH),
    ...{ agreement: [], tried: [], rows: [], flopsPerImage: {}, memory: [], failures: [] },
    ...{ watched: {}, linearProbing: null, secondsToFirstStep: null },
  };
  await compete(plan, result);
  await measureFreshProcesses(plan, result);

  await mkdir(join(BENCH, 'results'), { recursive: true });
  const path = join(BENCH, 'results', `${plan.name}.json`);
  await writeFileAtomic(path, `${JSON.stringify(result, null, 2)}\n`);
  process.stdout.write(`${report(result)}\n\nall readings: ${path}\n`);
}

/** What is read in turns. */
async function compete(plan: Plan, result: Result): Promise<void> {
  note('starting the contestants');
  const contestants = await startContestants(plan, result);
  try {
    note('comparing losses and gradients');
    await agree(plan, contestants, result);
    const rows = await rowsFor(plan, contestants, result, note);
    result.rows = await takeTurns(rows, plan.rounds, note);
    for (const adapter of plan.adapters) {
      result.flopsPerImage[adapter] = await contestants.idat.flopsPerImage('float32', adapter);
    }
  } finally {
    await closeContestants(contestants);
  }
}

/** What needs a process of its own. The readings so far outlive a failure here. */
async function measureFreshProcesses(plan: Plan, result: Result): Promise<void> {
  const { quick, folder, python, compileLimit, modes } = plan;
  const attempt = async (name: string, measure: () => Promise<void>) => {
    note(name);
    await measure().catch((error: Error) => result.failures.push({ name, reason: error.message }));
  };
  for (const { name, settings } of VARIANTS) {
    await attempt(`idat ${name}: a training run`, async () => {
      const run = await watchTraining(folder, quick ? 2 : 4, settings);
      result.watched[name] = run;
      result.memory.push({ name: `idat ${name}`, peakBytes: run.peakBytes });
    });
  }
  const failed = result.failures.map(({ name }) => name);
  for (const mode of quick ? modes.slice(0, 1) : modes) {
    const name = `PyTorch ${mode}`;
    if (failed.includes(name)) continue;
    await attempt(`${name}: peak memory at batch ${BATCH_SIZE}`, async () => {
      result.memory.push({ name, peakBytes: await measurePeakBytes(mode, python, folder, compileLimit) });
    });
  }
  await attempt('from command to first step', async () => {
    const starts: number[] = [];
    for (let i = 0; i < (quick ? 1 : 3); i++) starts.push(await secondsToFirstStep(folder));
    result.secondsToFirstStep = starts;
  });
  await attempt('linear probing', async () => {
    result.linearProbing = (await watchLinearProbing(folder, quick ? 32 : 128, 2)).epochSeconds;
  });
}

try {
  await main();
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  if (!(error instanceof IdatError) && !code?.startsWith('ERR_PARSE_ARGS')) throw error;
  note(message);
  process.exit(1); // contestants that still run end with their stdin
}
