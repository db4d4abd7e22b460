#!/usr/bin/env node
/** The command line: one command one file, assembled here. */
import { Command } from 'commander';
import { idatVersion } from '../runtime/node/versions.js';
import { analyseRun } from './commands/analyse.js';
import { bench } from './commands/bench.js';
import { cache } from './commands/cache.js';
import { compare } from './commands/compare.js';
import { completion } from './commands/completion.js';
import { data } from './commands/data.js';
import { demo } from './commands/demo.js';
import { doctor } from './commands/doctor.js';
import { evaluate } from './commands/eval.js';
import { exportCommand } from './commands/export.js';
import { merge } from './commands/merge.js';
import { methods } from './commands/methods.js';
import { models } from './commands/models.js';
import { pack } from './commands/pack.js';
import { params } from './commands/params.js';
import { predictImages } from './commands/predict.js';
import { pretrain } from './commands/pretrain.js';
import { recipes } from './commands/recipes.js';
import { reportOf } from './commands/report.js';
import { resumeRun } from './commands/resume.js';
import { runs } from './commands/runs.js';
import { servePictures } from './commands/serve.js';
import { studio } from './commands/studio.js';
import { sweep } from './commands/sweep.js';
import { train } from './commands/train.js';
import { verifyReference } from './commands/verify.js';
import { worker } from './commands/worker.js';
import { fail } from './failure.js';
import { bearClosedPipes } from './terminal.js';

const program = new Command('idat')
  .description('Fine-tune vision transformers with small adapters, taught by a smaller model.')
  .version(idatVersion(), '-V, --version', 'print the version')
  .helpCommand(false)
  .addHelpText('after', '\nTry it:\n  idat demo\n  idat train photos/ --student vit_micro_patch4_32.cifar10');

const commands = [
  train,
  evaluate,
  analyseRun,
  reportOf,
  predictImages,
  resumeRun,
  runs,
  compare,
  data,
  servePictures,
  sweep,
  worker,
  studio,
  exportCommand,
  merge,
  pack,
  methods,
  models,
  recipes,
  params,
  pretrain,
  bench,
  verifyReference,
  cache,
  doctor,
  completion,
  demo,
];
for (const command of commands) program.addCommand(command);
// Subcommands made elsewhere do not inherit it: throw instead of exiting, so that `fail` decides the exit code.
const within = (command: Command): Command[] => [command, ...command.commands.flatMap(within)];
for (const command of within(program)) command.exitOverride();

bearClosedPipes();

try {
  await program.parseAsync();
} catch (error) {
  fail(error);
}
