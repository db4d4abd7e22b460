/**
 * A process of its own that loads a training step, runs it a few times and tells its largest resident memory: only so is
 * it the step's alone. Started by memory.ts with what to run as its argument.
 */
import { backboneFromFile } from '../backbones/checkpoint.js';
import { withWeightFile } from '../runtime/weight-file.js';
import { modelSpecs, stepOf, withRuntime } from '../train/setup.js';
import { syntheticFeeds } from '../train/tuning.js';
import type { MemoryTask } from './memory.js';

const RUNS = 3;

const { run, classes, microBatch, threads, replicas, files } = JSON.parse(process.argv[2]!) as MemoryTask;
await withRuntime({ device: run.device, threads }, async (started) => {
  const runtime = started.withThreads(threads, replicas);
  const open = ({ path, name, config }: MemoryTask['files'][number]) => backboneFromFile(path, { name, config });
  const [student, teacher = null] = await Promise.all(files.map(open));
  const specs = modelSpecs(run, { student: student!, teacher }, classes);
  const { step, session } = await withWeightFile(async (sink) => {
    const built = stepOf(run, specs, { student: null, teacher: null }, microBatch, sink);
    return { step: built, session: await runtime.load(built.program) };
  });
  const feeds = syntheticFeeds(step);
  for (let i = 0; i < RUNS; i++) await Promise.all(Array.from({ length: replicas }, () => session.run(feeds)));
});
// the system counts in kilobytes
process.stdout.write(`${process.resourceUsage().maxRSS * 1024}\n`);
