/**
 * A job as it lies in the queue: a run's settings and the hashes of what it is made of. It is data that a stranger may have
 * written: nothing in it is a path, names code or is run, and all of it is bounded.
 */
import { z } from 'zod';
import { namedWeights } from '../backbones/node/registry.js';
import { IdatError, inWords, printable } from '../errors.js';
import { sha256 } from '../files/node/sha256.js';
import { canonical, type FineTuneInput, type FineTuneSettings, parseConfig } from '../settings/config.js';
import { FIELDS } from '../settings/fields.js';
import { issuesOf } from '../settings/issues.js';
import { PROTOCOL_NAMES } from '../settings/protocols.js';
import { MAX_THREADS } from '../settings/record.js';

/** As JSON; settings alone have some hundred. */
const MAX_JOB_BYTES = 64 * 2 ** 10;

const hash = z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256');
/** The name of a file or folder, which leads nowhere else. */
const plainName = z
  .string()
  .max(200)
  .regex(/^[^/\\:\p{Cc}]+$/u, 'expected a name without folders')
  .refine((name) => !/^\.{1,2}$/.test(name), 'expected a name without folders');

/** A file that lies in the queue's store under its hash. */
const Blob = z.strictObject({ sha256: hash, bytes: z.int().min(1) });
export type Blob = z.output<typeof Blob>;

const Images = z.strictObject({
  name: plainName,
  /** Of the hub, as `hf-hub-data:ORG/NAME`. */
  hub: z
    .string()
    .max(200)
    .regex(/^hf-hub-data:\w[\w.-]*\/\w[\w.-]*(\/\w[\w.-]*)?$/)
    .nullable(),
  /** By which the splits are made and chosen. */
  splitSeed: z.int(),
  protocol: z.enum(PROTOCOL_NAMES),
  /** What each split holds, as runs record it. */
  fingerprints: z.record(z.enum(['train', 'val', 'trainval', 'test']), hash.optional()),
  /** Null: workers have to have it. */
  blob: Blob.nullable(),
});

const Weights = z.strictObject({
  /** One that idat knows by name (also `hf-hub:ORG/NAME`), or that of a file. */
  name: z
    .string()
    .max(200)
    .regex(/^[^\\\p{Cc}]+$/u),
  /** Whether it is a file's, which must be found by it. */
  file: z.boolean(),
  sha256: hash,
  /** Of a file alone. */
  blob: Blob.nullable(),
});
export type WantedWeights = z.output<typeof Weights>;
export type WantedImages = z.output<typeof Images>;

/** Settings that say where something lies on a machine, or matter to nobody but its owner. */
const LOCAL = ['data', 'student', 'teacher', 'out', 'cacheDir', 'offline', 'tensorboard'] as const;

const Job = z.strictObject({
  format: z.literal('idat-job-1'),
  /** Whose it is. */
  sweep: z.uuid(),
  /** For people; where the run comes to lie is known to its sweep alone. */
  name: z
    .string()
    .min(1)
    .max(400)
    .regex(/^\P{Cc}+$/u, 'expected a name in one line'),
  /** Those of a run but for what the machine decides. */
  settings: z.record(z.string(), z.unknown()),
  images: Images,
  /** Null: starts from random weights. */
  student: Weights.nullable(),
  /** A number: the student's first blocks, as `self:6` has it. */
  teacher: z.union([Weights, z.int().min(1).max(1000)]).nullable(),
  /** Files that register methods or losses, which a worker may have and be allowed to import. */
  modules: z.array(z.strictObject({ name: plainName, sha256: hash })).max(20),
});
export type Job = z.output<typeof Job>;

/**
 * The id of a job: the same for the same run of the same sweep by the same build. Files that carry images and weights are no
 * part of it: what a run is made of is known by what it holds.
 * @param lane where it waits, which names the build
 */
export function jobId(job: Job, lane: string): string {
  const asked: unknown = JSON.parse(JSON.stringify(job, (key, value) => (key === 'blob' ? undefined : value)));
  return `${job.sweep}-${sha256(canonical([lane, asked])).slice(0, 24)}`;
}

/** What of a request travels. */
export function travelling(request: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(request).filter(([name]) => !(LOCAL as readonly string[]).includes(name)));
}

/**
 * A job that came from the queue.
 * @throws IdatError `queue.job` for what is none
 */
export function checkedJob(data: unknown): Job {
  const wrong = (what: string, cause?: unknown) =>
    new IdatError('queue.job', `a job of the queue is none of idat's: ${what}`, { cause });
  const bytes = Buffer.byteLength(JSON.stringify(data) ?? '');
  if (bytes > MAX_JOB_BYTES) throw wrong(`it has ${bytes} bytes, ${MAX_JOB_BYTES} at most are read`);
  const parsed = Job.safeParse(data, { reportInput: true });
  if (!parsed.success) throw wrong(printable(inWords(issuesOf(parsed.error, []).slice(0, 1))), parsed.error);
  const job = parsed.data;
  for (const name of Object.keys(job.settings)) {
    if ((LOCAL as readonly string[]).includes(name) || !Object.hasOwn(FIELDS, name)) {
      throw wrong(`the setting ${printable(name)} does not travel`);
    }
  }
  for (const weights of [job.student, job.teacher]) {
    if (weights === null || typeof weights === 'number') continue;
    const isName = weights.file ? plainName.safeParse(weights.name).success : namedWeights(weights.name) !== null;
    if (!isName) throw wrong(`${printable(weights.name)} is no name of weights`);
    // names of the hub hold slashes: no place on a disk may be made of one
    if (!weights.file && weights.blob) throw wrong(`${printable(weights.name)} has a name, and comes with a file`);
  }
  return job;
}

/**
 * The settings of a run that a job asks for, with the places on this machine.
 * @throws IdatError `config.field` for settings that cannot be, `queue.job` for more threads than any machine has
 */
export function settingsOf(
  { settings, images }: Job,
  places: Partial<FineTuneInput> & { data: string },
): FineTuneSettings {
  const checked = parseConfig({ ...settings, ...places } as FineTuneInput);
  const threads = threadsOf(checked);
  if (threads > MAX_THREADS) throw new IdatError('queue.job', `a job of the queue asks for ${threads} threads`);
  if (checked.splitSeed === images.splitSeed && checked.protocol === images.protocol) return checked;
  throw new IdatError('queue.job', 'a job of the queue tells other splits of its images than its settings do');
}

/** That a run keeps busy. */
export const threadsOf = ({ threads = 1, replicas = 1 }: Pick<FineTuneSettings, 'threads' | 'replicas'>): number =>
  threads * replicas;
