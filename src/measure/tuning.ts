/**
 * Chooses how a batch is worked through, images a call, threads and replicas, by measuring a few calls; what was measured
 * is remembered for this machine, runtime and program.
 */

import { sha256 } from '../files/sha256.js';
import type { WeightSink } from '../graph/emit.js';
import { constant } from '../graph/ops/index.js';
import { FOLDING_PASSES } from '../graph/passes/index.js';
import { size, type TensorType } from '../graph/tensor.js';
import type { Machine } from '../runtime/machine.js';
import type { Feed, Runtime } from '../runtime/runtime.js';
import type { EnginePlan, RunPlan } from '../settings/plan.js';
import type { ModelSpec } from '../step/model.js';
import { mapPair, type Pair } from '../step/roles.js';
import type { TrainStep } from '../step/train-step.js';
import { microBatchOf, type Prefixes, prefixesOf, stepOf } from '../train/specs.js';
import { type Call, type Reading, searchCall } from './call-search.js';

/** What of a plan decides how a batch is worked through. */
export type TunedPlan = Pick<RunPlan, 'objective' | 'compile' | 'augmentation' | 'batch' | 'engine'>;

/** A choice that was measured earlier. */
export interface TuningEntry extends Call {
  /** What was measured, in words. */
  readonly why: string;
  /** ISO date. */
  readonly measured: string;
}

/** What the platform knows of the machine and remembers of it. */
export interface TuningHost {
  readonly machine: Machine;
  availableBytes(): number;
  recall(key: string): Promise<TuningEntry | null>;
  /** Never throws: what cannot be remembered is measured again. */
  remember(key: string, entry: TuningEntry): Promise<void>;
}

export interface TunedCall extends Call {
  /** Why so, in a sentence; null where both were given. */
  readonly why: string | null;
}

/** Candidates are begun within this time. */
const BUDGET_MS = 2000;
/** A step with more work than this in its first call would take over a second to load and time on two cores. */
const LARGEST_MEASURED_FLOPS = 2e10;
/** A candidate is called at least so often and for so long, after once to warm up; a hopeless one less often. */
const QUICK = { calls: 3, ms: 150, hopelessCalls: 1 };
const THOROUGH = { calls: 5, ms: 500, hopelessCalls: 2 };
/** Of the class count, which hardly matters for speed, the key knows nothing. */
const KEY_CLASSES = 10;

/**
 * Images a call, threads and replicas: given, remembered, measured, or by rule.
 * @param images at hand, which bound a batch
 * @param thorough measure whatever it takes, anew, and remember it; otherwise a start is not held up for longer than some
 *   seconds
 */
export async function tuneCall(
  runtime: Runtime,
  plan: TunedPlan,
  specs: Pair<ModelSpec>,
  prefixes: Prefixes,
  images: number,
  host: TuningHost,
  thorough = false,
): Promise<TunedCall> {
  const { microBatch: wanted, size: whole } = plan.batch;
  const batchSize = Math.min(whole, images);
  const [usual, ...others] = concurrencies(runtime, plan.engine);
  const first = { microBatch: microBatchOf(plan.batch, specs, prefixes, images), ...usual! };
  if (wanted !== 'auto' && others.length === 0) return { ...first, why: null };

  const unit = unitStep(plan, specs);
  const key = await keyOf(runtime, plan, unit, batchSize, host.machine);
  const known = thorough ? null : await host.recall(key);
  if (known) {
    const { microBatch, threads, replicas, why, measured } = known;
    return { microBatch, threads, replicas, why: `${why}, on ${measured}` };
  }
  if (!thorough && unit.program.flops * first.microBatch > LARGEST_MEASURED_FLOPS) {
    return { ...first, why: `${inWords(first)}, by rule; idat bench measures what is best and remembers it` };
  }

  const given = wanted !== 'auto';
  const fitting = host.availableBytes() / unit.program.activationBytes;
  const started = performance.now();
  const { best, readings } = await searchCall({
    batchSize,
    first,
    others,
    smallest: given ? first.microBatch : 1,
    largest: given ? first.microBatch : Math.max(first.microBatch, Math.min(batchSize, fitting)),
    measure: ({ microBatch, threads, replicas }, hopelessMs) =>
      timeCall(
        runtime.withThreads(threads, replicas),
        (sink) => stepOf(plan, specs, prefixes, microBatch, sink),
        hopelessMs,
        thorough ? THOROUGH : QUICK,
      ),
    outOfTime: () => !thorough && performance.now() - started > BUDGET_MS,
  });
  const entry = { ...best, why: explain(best, readings), measured: new Date().toISOString().slice(0, 10) };
  await host.remember(key, entry);
  return { microBatch: best.microBatch, threads: best.threads, replicas: best.replicas, why: entry.why };
}

/** How calls may share the cores: as the settings say, or else first the usual way, then what may be faster. */
function concurrencies({ device, threads: cores }: Runtime, { threads, replicas }: EnginePlan) {
  if (threads !== undefined || device !== 'cpu' || cores === 1) return [{ threads: cores, replicas: replicas ?? 1 }];
  if (replicas !== undefined) {
    const share = Math.max(1, Math.floor(cores / replicas));
    return [{ threads: share, replicas }, ...(share > 1 ? [{ threads: 1, replicas }] : [])];
  }
  return [
    { threads: cores, replicas: 1 },
    { threads: 1, replicas: 1 },
    { threads: 1, replicas: cores },
  ];
}

/** The step for one image, which stands for all others, without reading a weight. */
function unitStep(plan: TunedPlan, specs: Pair<ModelSpec>): TrainStep {
  const bareSpecs = mapPair(specs, bare);
  const disable = [...plan.compile.disable, ...FOLDING_PASSES];
  const exact = { ...plan, compile: { frozen: 'float32' as const, disable } };
  return stepOf(exact, bareSpecs, prefixesOf(bareSpecs, exact), 1);
}

/** The model without its weights: what decides the program but not its numbers. */
function bare(spec: ModelSpec): ModelSpec {
  const weights = {
    has: spec.backbone.weights.has.bind(spec.backbone.weights),
    constant: (name: string, shape: readonly number[]) =>
      constant(shape, { kind: 'file', path: `/${name}`, offset: 0, load: () => new Float32Array(size(shape)) }),
    values: (_: string, shape: readonly number[]) => new Float32Array(size(shape)),
  };
  return { ...spec, classes: KEY_CLASSES, backbone: { ...spec.backbone, weights } };
}

/** All that decides which call is fastest. */
async function keyOf(
  runtime: Runtime,
  { batch: { microBatch }, engine: { threads, replicas }, compile: { frozen, disable } }: TunedPlan,
  unit: TrainStep,
  batchSize: number,
  { cpu, cores, platform }: Machine,
): Promise<string> {
  const program = await sha256(unit.program.model);
  const machine = [cpu, cores, platform, runtime.engine.onnxruntime, runtime.device];
  const all = [machine, program, frozen, disable, batchSize, microBatch, threads ?? 'auto', replicas ?? 'auto'];
  return (await sha256(JSON.stringify(all))).slice(0, 32);
}

/** Milliseconds of a call in each replica: the shortest of several, as all else that the machine does only adds. */
async function timeCall(
  runtime: Runtime,
  compile: (sink: WeightSink) => TrainStep,
  hopelessMs: number,
  { calls, ms, hopelessCalls }: { calls: number; ms: number; hopelessCalls: number },
): Promise<number> {
  let step: TrainStep | undefined;
  const session = await runtime.load((sink) => {
    step = compile(sink);
    return step.program;
  });
  try {
    const feeds = syntheticFeeds(step!);
    const run = () => Promise.all(Array.from({ length: runtime.replicas }, () => session.run(feeds)));
    await run();
    const times: number[] = [];
    for (const began = performance.now(); times.length < calls || performance.now() - began < ms; ) {
      const started = performance.now();
      await run();
      times.push(performance.now() - started);
      if (times.length === hopelessCalls && Math.min(...times) > hopelessMs) break;
    }
    return Math.min(...times);
  } finally {
    await session.close();
  }
}

/** Inputs that keep a step as busy as real ones: its time does not depend on what is in the images. */
export function syntheticFeeds({ program, student, teacher }: TrainStep): Record<string, Feed> {
  const feed = (name: string, { shape, dtype }: TensorType): Feed => {
    const count = size(shape);
    if (dtype === 'int64') return new BigInt64Array(count);
    if (dtype === 'uint8') return new Uint8Array(count).fill(1);
    if (name === 'weights') return new Float32Array(count).fill(1 / count);
    if (name === 'student.parameters') return student.initial(0, 'student');
    if (name === 'teacher.parameters') return teacher!.initial(0, 'teacher');
    if (name.endsWith('.keptPatches')) return new BigInt64Array(count);
    if (name.endsWith('.dropPath')) return new Float32Array(count).fill(1);
    return Float32Array.from({ length: count }, (_, i) => Math.sin(i));
  };
  return Object.fromEntries(Object.entries(program.inputs).map(([name, type]) => [name, feed(name, type)]));
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

const inWords = ({ microBatch, threads, replicas }: Call): string =>
  `${counted(microBatch, 'image')} a call on ${counted(threads, 'thread')}${atATime(replicas)}`;

const atATime = (replicas: number): string => (replicas > 1 ? `, ${replicas} calls at a time` : '');

/** The choice and what it was held against. */
function explain(best: Reading, readings: readonly Reading[]): string {
  const ms = ({ msPerImage }: Reading) => (msPerImage < 100 ? msPerImage.toPrecision(3) : msPerImage.toFixed(0));
  const others = readings
    .filter((reading) => reading !== best)
    .map((reading) => `${reading.microBatch} on ${reading.threads}${atATime(reading.replicas)}: ${ms(reading)}`);
  const compared = others.length > 0 ? ` (${others.join('; ')})` : '';
  return `${inWords(best)}: ${ms(best)} ms an image${compared}, measured`;
}
