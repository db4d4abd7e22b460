/** What this machine can do, looked at and tried rather than assumed. */
import { mkdtemp, readdir, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { resolveBackbone } from '../backbones/node/registry.js';
import { DECODER_VERSION, decodedFormats } from '../data/node/decode.js';
import { cacheFolder } from '../files/node/cache-folder.js';
import type { Program } from '../graph/emit.js';
import { hubOf, isOffline } from '../hub/environment.js';
import { request } from '../hub/request.js';
import { syntheticFeeds } from '../measure/tuning.js';
import { withRuntime } from '../runtime/node/start.js';
import { type Versions, versions } from '../runtime/node/versions.js';
import type { Feed, Runtime } from '../runtime/runtime.js';
import { parseConfig } from '../settings/config.js';
import { BUNDLED } from '../settings/fields.js';
import { planOf } from '../settings/plan.js';
import { median } from '../statistics/index.js';
import { microBatchOf, modelSpecs, stepOf } from '../train/specs.js';
import { type DeviceFacts, tryDevice } from './device-trial.js';
import { type MachineFacts, machineFacts } from './machine-facts.js';
import { matrixPeakFeeds, matrixPeakProgram } from './matrix-peak.js';

export interface FolderFacts {
  readonly path: string;
  /** Of what lies in it; null where there is none yet. */
  readonly bytes: number | null;
  readonly writable: boolean;
  /** On its disk. */
  readonly freeBytes: number | null;
}

export interface Speed {
  readonly threads: number;
  /** Of a matrix product of float32, the median of a second's. */
  readonly flopsPerSecond: number;
  /** Images a second of the bundled student's whole training step with adapters, measured for another second. */
  readonly imagesPerSecond: number;
  /** Whether so much else was going on that the machine is faster than this. */
  readonly disturbed: boolean;
}

export interface HubFacts {
  readonly endpoint: string;
  readonly cache: FolderFacts;
  /** Null where it answered. */
  readonly problem: string | null;
}

export interface Diagnosis {
  readonly versions: Versions;
  readonly machine: MachineFacts;
  readonly devices: readonly DeviceFacts[];
  /** Null where the runtime does not work. */
  readonly speed: Speed | null;
  readonly images: { readonly decoder: string; readonly reads: readonly string[]; readonly lacks: readonly string[] };
  readonly cache: FolderFacts;
  readonly temporary: FolderFacts;
  /** Whether ONNX Runtime may report to its maker: only where ORT_DISABLE_TELEMETRY says so. */
  readonly telemetry: boolean;
  /** Null where nobody asked. */
  readonly hub: HubFacts | null;
  /** Errors: idat cannot work here; warnings: it works less well. Sentences. */
  readonly findings: readonly { readonly severity: 'error' | 'warning'; readonly text: string }[];
}

export interface DoctorOptions {
  /** Ask the hub whether it answers; otherwise the network is left alone. */
  readonly network?: boolean;
}

const MEASURED_MS = 1000;
const HUB_PATIENCE_MS = 10_000;
/** Less than this is soon used up by decoded images. */
const LITTLE_DISK = 2e9;

/** Looks at the machine, tries each device, and measures for two seconds. */
export async function diagnose({ network = false }: DoctorOptions = {}): Promise<Diagnosis> {
  const machine = await machineFacts();
  const devices: DeviceFacts[] = [];
  for (const device of ['cpu', 'cuda', 'webgpu'] as const) devices.push(await tryDevice(device));
  const speed = devices[0]!.works ? await withRuntime({ device: 'cpu' }, (runtime) => measure(runtime, machine)) : null;
  const facts = {
    versions: versions(),
    machine,
    devices,
    speed,
    images: { decoder: DECODER_VERSION, ...decodedFormats() },
    cache: await folderFacts(cacheFolder()),
    temporary: await folderFacts(tmpdir(), false),
    telemetry: /^(0|false|off|no)$/i.test(process.env.ORT_DISABLE_TELEMETRY ?? '1'),
    hub: network ? await hubFacts() : null,
  };
  return { ...facts, findings: findingsOf(facts) };
}

/** Times the matrix product, and the step that `idat train` takes by default, by rule rather than by the best that there is. */
async function measure(runtime: Runtime, { load, cores }: MachineFacts): Promise<Speed> {
  const peak = matrixPeakProgram();
  const peakMs = await timeProgram(runtime, () => peak, matrixPeakFeeds());
  const plan = planOf(parseConfig({ data: 'synthetic' }));
  const backbones = { student: await resolveBackbone(BUNDLED.student, {}), teacher: null };
  const specs = modelSpecs(plan.models, backbones, 10);
  const whole = { student: null, teacher: null };
  const images = microBatchOf(plan.batch, specs, whole, plan.batch.size);
  const feeds = syntheticFeeds(stepOf(plan, specs, whole, images));
  const stepMs = await timeProgram(runtime, (sink) => stepOf(plan, specs, whole, images, sink).program, feeds);
  return {
    threads: runtime.threads,
    flopsPerSecond: peak.flops / (peakMs / 1000),
    imagesPerSecond: images / (stepMs / 1000),
    disturbed: load !== null && load > 0.5 * cores.available,
  };
}

/** Milliseconds of a run, the median of what fits into a second. */
async function timeProgram(
  runtime: Runtime,
  compile: (sink: Parameters<Parameters<Runtime['load']>[0]>[0]) => Program,
  feeds: Readonly<Record<string, Feed>>,
): Promise<number> {
  const session = await runtime.load(compile);
  try {
    await session.run(feeds); // the first run sets up the runtime's memory
    const times: number[] = [];
    for (const began = performance.now(); times.length < 3 || performance.now() - began < MEASURED_MS; ) {
      const started = performance.now();
      await session.run(feeds);
      times.push(performance.now() - started);
    }
    return median(times);
  } finally {
    await session.close();
  }
}

/** @param measured whether to add up what lies in it */
async function folderFacts(path: string, measured = true): Promise<FolderFacts> {
  const place = await nearestFolder(path);
  const free = await statfs(place).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => null,
  );
  const exists = place === resolve(path);
  return {
    path,
    bytes: exists && measured ? await bytesIn(path) : null,
    writable: await isWritable(place),
    freeBytes: free,
  };
}

/** Itself, or what of the way to it is there. */
async function nearestFolder(path: string): Promise<string> {
  for (let place = resolve(path); ; place = dirname(place)) {
    const found = await stat(place).catch(() => null);
    if (found || place === dirname(place)) return place;
  }
}

/** By writing: access rights alone do not tell of read-only disks. */
async function isWritable(folder: string): Promise<boolean> {
  try {
    await rm(await mkdtemp(join(folder, '.idat-doctor-')), { recursive: true });
    return true;
  } catch {
    return false;
  }
}

/** On the disk; links count by themselves, as the hub's cache links to its own files. */
async function bytesIn(folder: string): Promise<number> {
  let total = 0;
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) total += await bytesIn(path);
    else if (entry.isFile())
      total += await stat(path).then(
        ({ size }) => size,
        () => 0,
      );
  }
  return total;
}

async function hubFacts(): Promise<HubFacts> {
  const hub = await hubOf();
  const cache = await folderFacts(hub.cacheDir);
  const endpoint = hub.endpoint.href;
  if (isOffline())
    return { endpoint, cache, problem: 'HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids to use the network' };
  const patience = { signal: AbortSignal.timeout(HUB_PATIENCE_MS), stallMs: HUB_PATIENCE_MS };
  const problem = await request({ ...hub, token: null }, hub.endpoint, { method: 'HEAD' }, patience).then(
    (answer) => {
      answer.close();
      return answer.status < 500 ? null : `it answered with status ${answer.status}`;
    },
    (error: Error) =>
      error.name === 'TimeoutError' ? `no answer within ${HUB_PATIENCE_MS / 1000} seconds` : error.message,
  );
  return { endpoint, cache, problem };
}

function findingsOf({
  devices,
  images,
  cache,
  temporary,
  hub,
  speed,
}: Omit<Diagnosis, 'findings'>): Diagnosis['findings'] {
  const cpu = devices[0]!;
  const error = (text: string) => ({ severity: 'error' as const, text });
  const warning = (text: string) => ({ severity: 'warning' as const, text });
  const little = [cache, temporary].filter(({ freeBytes }) => freeBytes !== null && freeBytes < LITTLE_DISK);
  const essential = ['JPEG', 'PNG'].filter((format) => images.lacks.includes(format));
  return [
    ...(cpu.works
      ? []
      : [
          error(
            cpu.reason?.startsWith('ONNX Runtime') ? cpu.reason : `ONNX Runtime does not compute here: ${cpu.reason}`,
          ),
        ]),
    ...(essential.length > 0 ? [error(`the image decoder reads no ${essential.join(', no ')}`)] : []),
    ...(temporary.writable
      ? []
      : [error(`${temporary.path}: cannot write in the temporary folder; set TMPDIR to another`)]),
    ...(cache.writable
      ? []
      : [
          warning(
            `${cache.path}: cannot write in the cache folder, so that nothing is remembered; set XDG_CACHE_HOME to another`,
          ),
        ]),
    ...little.map(({ path, freeBytes }) =>
      warning(`${path}: only ${(freeBytes! / 1e9).toFixed(1)} GB are free on its disk`),
    ),
    ...(hub?.problem ? [warning(`${hub.endpoint} cannot be asked: ${hub.problem}`)] : []),
    ...(speed?.disturbed ? [warning('other processes keep the cores busy, so that the speeds above are too low')] : []),
  ];
}
