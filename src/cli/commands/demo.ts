/** idat demo: the paper's comparison in minutes, on bundled models and images. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { IdatError } from '../../errors.js';
import { packageFile } from '../../files/node/package-root.js';
import { type FineTuneResult, fineTune } from '../../index.js';
import { IN_BRACKETS, shortAccuracy } from '../../report/accuracy.js';
import type { FineTuneInput } from '../../settings/config.js';
import { PROTOCOLS } from '../../settings/protocols.js';
import { shortPath } from '../describe-run.js';
import { clock, table } from '../format.js';
import { print, tell } from '../terminal.js';
import { withProgress } from '../with-progress.js';

const asset = (name: string) => shortPath(fileURLToPath(packageFile(`assets/${name}`)));

/** What both runs share; chosen to end within minutes on two cores. */
const SHARED = {
  data: asset('eurosat.zip'),
  student: 'vit_micro_patch4_32.cifar10',
  method: 'parallel',
  hidden: 8,
  epochs: 10,
  warmupEpochs: 1,
  cooldownEpochs: 0,
} satisfies FineTuneInput;

const RUNS: { title: string; config: FineTuneInput }[] = [
  { title: 'adapters alone', config: SHARED },
  { title: 'iDAT-P-kl', config: { ...SHARED, teacher: 'vit_nano_patch4_32.cifar10', distill: 'kl' } },
];

export const demo = new Command('demo')
  .description('compare adapters alone with iDAT on bundled models and images, in minutes')
  .action(async () => {
    if (!existsSync(SHARED.data)) throw withoutImages();
    tell(
      `EuroSAT, 10 kinds of land use seen from space: 1,000 images to learn from, 1,500 to be tested on.\n` +
        `Student ${SHARED.student}, ${SHARED.epochs} epochs, first alone, then with a smaller teacher beside it.\n\n`,
    );
    const rows = [['', 'accuracy', 'trained parameters', 'time', 'run directory']];
    const results: FineTuneResult[] = [];
    for (const { title, config } of RUNS) {
      const started = performance.now();
      const result = await withProgress((control) => fineTune(config, control), title);
      const elapsed = (performance.now() - started) / 1000;
      results.push(result);
      rows.push([
        title,
        shortAccuracy(result),
        result.trainableParameters.student.toLocaleString('en'),
        clock(elapsed),
        shortPath(result.runDir),
      ]);
    }
    const [alone, taught] = results as [FineTuneResult, FineTuneResult];
    const points = 100 * (taught.accuracy - alone.accuracy);
    const run = shortPath(taught.runDir);
    print(
      `${table(rows)}\n\n` +
        `iDAT's difference: ${points >= 0 ? '+' : '−'}${Math.abs(points).toFixed(1)} points ` +
        `(one seed; the teacher is needed in training only).\n` +
        `Accuracy: top-1 on 1,500 test images, protocol ${PROTOCOLS[taught.protocol].meaning}.\n` +
        `${IN_BRACKETS}\n\n` +
        `Next:\n${nextCommands(run)
          .map((command) => `  npx idat ${command}\n`)
          .join('')}`,
    );
  });

/** The package leaves them out where they are large. */
const withoutImages = () =>
  new IdatError(
    'demo.data',
    `the demo's images, ${SHARED.data}, are not part of the installed package: run it in a checkout of idat's repository ` +
      '(npm ci && npm run demo), or train on your own pictures: npx idat train FOLDER',
  );

const nextCommands = (run: string): string[] => [
  `eval ${run}`,
  `train ${SHARED.data} --student ${SHARED.student} --teacher vit_nano_patch4_32.cifar10 --variant iDAT-PS-kl --epochs 20`,
  'train --help',
];
