/** idat demo: the paper's comparison in minutes, on bundled models and images. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { IdatError } from '../../errors.js';
import type { SweepPlan } from '../../experiments/plan.js';
import type { SweepResult } from '../../experiments/results.js';
import { prepareSweep, runSweep } from '../../experiments/sweep.js';
import { packageFile } from '../../files/node/package-root.js';
import { fullAccuracy } from '../../report/accuracy.js';
import { sweepTable } from '../../report/sweep-table.js';
import { shortPath } from '../describe-run.js';
import { clock } from '../format.js';
import { interruptible } from '../interrupt.js';
import { sweepView } from '../sweep-view.js';
import { print, tell } from '../terminal.js';

const DATA = shortPath(fileURLToPath(packageFile('assets/eurosat-100.zip')));
const [STUDENT, TEACHER] = ['vit_micro_patch4_32.cifar10', 'vit_nano_patch4_32.cifar10'];

/** The regime that the paper is about: few images of each class, trained until they are known by heart. */
const PLAN: SweepPlan = {
  out: 'runs/demo',
  base: { student: STUDENT, method: 'sequential', lr: 3e-3 },
  tasks: [{ name: 'eurosat-100', data: DATA }],
  rows: [{ name: 'alone' }, { name: 'taught', distill: 'mse', teacher: TEACHER }],
  grid: { seed: [1, 2, 3] },
  against: 'alone',
};

export const demo = new Command('demo')
  .description('compare adapters alone with iDAT on bundled models and images, in minutes')
  .action(async () => {
    if (!existsSync(DATA)) throw withoutImages();
    const prepared = await prepareSweep(PLAN);
    const { statuses, limit, out } = prepared;
    const found = statuses.filter((status) => status.found).length;
    tell(
      'EuroSAT, 10 kinds of land use seen from space: 10 images of each to learn from, 600 to be tested on.\n' +
        `The student, ${STUDENT}, is trained alone and taught by ${TEACHER},\n` +
        `a quarter of its size (iDAT-S-mse): 110 epochs, three seeds each, ${limit} at a time.\n` +
        `${found > 0 ? `${found} of the ${statuses.length} runs are in ${shortPath(out)} already; remove it to train them anew.\n` : ''}\n`,
    );
    const began = performance.now();
    const view = sweepView(limit);
    const outcome = await interruptible(
      (signal) => runSweep(prepared, { ...view, signal }),
      'stopping after these steps; the demo goes on where it was',
    ).finally(view.clear);
    const { results, failed } = outcome;
    if (failed.length > 0) throw new IdatError('demo.failed', `${failed[0]!.name}: ${failed[0]!.message}`);
    const taught = results.filter(({ row }) => row === 'taught');
    const best = join(out, taught[0]!.run);
    print(
      `${sweepTable(outcome)}\n\n` +
        `${learnt(results)} what the teacher changes is\n` +
        'what the student makes of images it has not seen. The teacher is needed in training only.\n' +
        `One run for itself is known so well: ${fullAccuracy(taught[0]!, 'test images')}.\n` +
        `${clock((performance.now() - began) / 1000)} in all.\n\n` +
        `Next:\n${nextCommands(shortPath(best))
          .map((command) => `  npx idat ${command}\n`)
          .join('')}`,
    );
  });

/** How well the runs know their training images at the end. */
function learnt(results: readonly SweepResult[]): string {
  const least = Math.min(...results.map(({ trainAccuracy }) => trainAccuracy ?? 0));
  const share = least === 1 ? 'all' : `${(100 * least).toFixed(0)} % or more`;
  return `In the end all runs, alone and taught, know ${share} of their training images:`;
}

/** The package may have been stripped of them. */
const withoutImages = () =>
  new IdatError(
    'demo.data',
    `the demo's images, ${DATA}, are not there: install idat again, or train on your own pictures: npx idat train FOLDER`,
  );

const nextCommands = (run: string): string[] => [
  `eval ${run}`,
  `analyse ${run}`,
  `train FOLDER --student ${STUDENT} --teacher ${TEACHER} --variant iDAT-S-mse`,
  'train --help',
];
