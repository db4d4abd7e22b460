/**
 * A process of its own that loads a training step, runs it a few times and tells its largest resident memory: only so is
 * it the step's alone. Started by memory.ts with what to run as its argument.
 */
import { firstBlocks } from '../backbones/first-blocks.js';
import { backboneFromFile } from '../backbones/node/checkpoint.js';
import { syntheticFeeds } from '../measure/tuning.js';
import { withRuntime } from '../runtime/node/start.js';
import type { TrainStep } from '../step/train-step.js';
import { modelSpecs, stepOf } from '../train/specs.js';
import type { MemoryTask } from './memory.js';

const RUNS = 3;

const { plan, classes, microBatch, threads, replicas, files } = JSON.parse(process.argv[2]!) as MemoryTask;
await withRuntime({ device: plan.engine.device, threads }, async (started) => {
  const runtime = started.withThreads(threads, replicas);
  const open = ({ path, name, config }: MemoryTask['files'][number]) => backboneFromFile(path, { name, config });
  const student = await open(files[0]!);
  const own = plan.models.teacher?.firstBlocks ?? null;
  const teacher = own === null ? files[1] && (await open(files[1])) : firstBlocks(student, own);
  const specs = modelSpecs(plan.models, { student, teacher: teacher ?? null }, classes);
  let step: TrainStep | undefined;
  const session = await runtime.load((sink) => {
    step = stepOf(plan, specs, { student: null, teacher: null }, microBatch, sink);
    return step.program;
  });
  const feeds = syntheticFeeds(step!);
  for (let i = 0; i < RUNS; i++) await Promise.all(Array.from({ length: replicas }, () => session.run(feeds)));
});
// the system counts in kilobytes
process.stdout.write(`${process.resourceUsage().maxRSS * 1024}\n`);
