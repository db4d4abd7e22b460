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
import { type Cores, disturbance, freeCores, type LoadReading, type TimedCalls } from './load.js';

/** What of a plan decides how a batch is worked through. */
export type TunedPlan = Pick<RunPlan, 'objective' | 'compile' | 'augmentation' | 'batch' | 'engine'>;

/** A choice that was measured earlier. */
export interface TuningEntry extends Reading {
  /** What was measured, in words. */
  readonly why: string;
  /** ISO date. */
  readonly measured: string;
}

/** What the platform knows of the machine and remembers of it. */
export interface TuningHost {
  readonly machine: Machine;
  readonly cores: Cores;
  /** When it was asked first: what other programs do is judged from then on. */
  readonly began: LoadReading;
  load(): LoadReading;
  /** Milliseconds of the clock that calls are timed with. */
  now(): number;
  wait(ms: number): Promise<void>;
  availableBytes(): number;
  recall(key: string): Promise<TuningEntry | null>;
  /** Never throws: what cannot be remembered is measured again. */
  remember(key: string, entry: TuningEntry): Promise<void>;
  /** So that it is measured again. Never throws. */
  forget(key: string): Promise<void>;
}

export interface TunedCall extends Call {
  /** Why so, in a sentence; null where both were given. */
  readonly why: string | null;
  /** Cores that other programs leave to this one, for what else it computes. */
  readonly freeCores: number;
  /** What was measured of the choice, to be held against the pace of training; null where nothing was. */
  readonly measured: { readonly msPerCall: number; forget(): Promise<void> } | null;
}

/** Candidates are begun within this time. */
const BUDGET_MS = 2000;
/** The system counts CPU time in hundredths of a second: to see what others use, a look has to last. */
const LOOK_MS = 250;
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
  const free = await coresLeft(runtime, plan.engine, host);
  const [usual, ...others] = concurrencies(runtime, plan.engine, free);
  const first = { microBatch: microBatchOf(plan.batch, specs, prefixes, images), ...usual! };
  const unmeasured = { ...first, freeCores: free, measured: null };
  if (wanted !== 'auto' && others.length === 0) return { ...unmeasured, why: null };

  const unit = unitStep(plan, specs);
  const key = await keyOf(runtime, plan, unit, batchSize, host.machine);
  const tuned = ({ microBatch, threads, replicas, msPerImage }: Reading, why: string): TunedCall => {
    const msPerCall = (msPerImage * batchSize) / Math.ceil(batchSize / microBatch / replicas);
    const measured = { msPerCall, forget: () => host.forget(key) };
    return { microBatch, threads, replicas, why, freeCores: free, measured };
  };
  const known = thorough ? null : await host.recall(key);
  // what was best on a machine at rest is not where its threads would wait for cores that others have
  const fits = known && (free === runtime.threads || known.threads * known.replicas <= free);
  if (known && fits) return tuned(known, `${known.why}, on ${known.measured}`);
  if (!thorough && unit.program.flops * first.microBatch > LARGEST_MEASURED_FLOPS) {
    const busy = free < runtime.threads ? `, as other programs leave it ${counted(free, 'core')}` : '';
    const why = `${inWords(first)}, by rule${busy}; idat bench measures what is best and remembers it`;
    return { ...unmeasured, why };
  }

  const given = wanted !== 'auto';
  const fitting = host.availableBytes() / unit.program.activationBytes;
  const timed: TimedCalls[] = [];
  const started = host.now();
  const { best, readings } = await searchCall({
    batchSize,
    first,
    others,
    smallest: given ? first.microBatch : 1,
    largest: given ? first.microBatch : Math.max(first.microBatch, Math.min(batchSize, fitting)),
    measure: async ({ microBatch, threads, replicas }, hopelessMs) => {
      const calls = await timeCall(
        runtime.withThreads(threads, replicas),
        (sink) => stepOf(plan, specs, prefixes, microBatch, sink),
        hopelessMs,
        thorough ? THOROUGH : QUICK,
        host,
      );
      timed.push(calls);
      // the shortest, as all else that the machine does only adds
      return Math.min(...calls.times);
    },
    outOfTime: () => !thorough && host.now() - started > BUDGET_MS,
  });
  const why = explain(best, readings);
  const disturbed = disturbance(timed, host.cores, runtime.device === 'cpu');
  if (disturbed !== null) return tuned(best, `${why} for this run alone and not remembered: ${disturbed}`);
  await host.remember(key, { ...best, why, measured: new Date().toISOString().slice(0, 10) });
  return tuned(best, why);
}

/** Whether threads and replicas are up to us. */
const areChosen = ({ device, threads: cores }: Pick<Runtime, 'device' | 'threads'>, { threads }: EnginePlan) =>
  threads === undefined && device === 'cpu' && cores > 1;

/** Cores that other programs leave to this one, as far as that matters. */
async function coresLeft(runtime: Runtime, engine: EnginePlan, host: TuningHost): Promise<number> {
  if (!areChosen(runtime, engine)) return runtime.threads;
  const missing = LOOK_MS - (host.load().wallMs - host.began.wallMs);
  if (missing > 0) await host.wait(missing);
  return Math.min(runtime.threads, freeCores(host.began, host.load(), host.cores));
}

/**
 * How calls may share the cores: as the settings say, or else first the usual way, then what may be faster. Threads that
 * outnumber the free cores wait for each other, so that these come first, and all cores last.
 * @param free cores that other programs leave
 */
export function concurrencies(
  runtime: Pick<Runtime, 'device' | 'threads'>,
  engine: EnginePlan,
  free: number,
): Omit<Call, 'microBatch'>[] {
  const { threads: cores } = runtime;
  const { replicas } = engine;
  if (!areChosen(runtime, engine)) return [{ threads: cores, replicas: replicas ?? 1 }];
  if (replicas !== undefined) {
    const share = Math.max(1, Math.floor(free / replicas));
    return [{ threads: share, replicas }, ...(share > 1 ? [{ threads: 1, replicas }] : [])];
  }
  const single = { threads: 1, replicas: 1 };
  return [
    { threads: free, replicas: 1 },
    ...(free > 1 ? [single, { threads: 1, replicas: free }] : []),
    ...(free < cores ? [{ threads: cores, replicas: 1 }] : []),
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

/** Milliseconds of a call in each replica, several times. */
async function timeCall(
  runtime: Runtime,
  compile: (sink: WeightSink) => TrainStep,
  hopelessMs: number,
  { calls, ms, hopelessCalls }: { calls: number; ms: number; hopelessCalls: number },
  { now, load }: TuningHost,
): Promise<TimedCalls> {
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
    const before = load();
    for (const began = now(); times.length < calls || now() - began < ms; ) {
      const started = now();
      await run();
      times.push(now() - started);
      if (times.length === hopelessCalls && Math.min(...times) > hopelessMs) break;
    }
    return { times, before, after: load() };
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
