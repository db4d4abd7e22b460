/** Where on a worker's machine the images and weights of a job lie. */
import { stat } from 'node:fs/promises';
import { basename, isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { resolveBackbone } from '../backbones/node/registry.js';
import { IdatError, printable } from '../errors.js';
import { fingerprintsOf } from '../experiments/identity.js';
import { sha256OfFiles } from '../files/node/sha256.js';
import { fetching } from '../runs/backbones.js';
import { canonical } from '../settings/config.js';
import type { RunControl } from '../train/progress.js';
import { fetchBlob } from './blobs.js';
import type { RedisClient } from './engine.js';
import type { Blob, Job, WantedImages, WantedWeights } from './job.js';

/** What a worker's owner lets it use. */
export interface PlaceOptions {
  /** Folders in which data sets lie by their names; or a data set itself. */
  readonly data: readonly string[];
  /** Folders in which checkpoints lie by their names. */
  readonly models: readonly string[];
  /** The only folder from which methods and losses are imported; null: none are. */
  readonly modules: string | null;
  /** Where what comes through the store is kept. */
  readonly cache: string;
  /** Of one file that comes through the store. */
  readonly limitBytes: number;
  /** Whether what has a name on the hub may be fetched from there. */
  readonly fetch: boolean;
}

/** Where a job's images and weights lie here, and the files to be imported. */
export interface Places {
  readonly data: string;
  readonly student?: string;
  readonly teacher: string | null;
  readonly modules: readonly string[];
}

/** What is not here, in a sentence. */
export class Lacking extends Error {}

/** Finds what jobs are made of, and looks into each file once. */
export class PlaceFinder {
  private readonly images = new Map<string, string>();
  private readonly weights = new Map<string, string>();

  constructor(
    private readonly redis: RedisClient,
    private readonly queue: string,
    private readonly options: PlaceOptions,
    private readonly control: RunControl = {},
  ) {}

  /** @throws Lacking with what is not here; IdatError for a job that cannot be */
  async find(job: Job): Promise<Places> {
    const modules: string[] = [];
    for (const module of job.modules) modules.push(await this.module(module));
    const { student: own, teacher: taught } = job;
    const student = own === null ? undefined : await this.remembered(this.weights, own, () => this.weightsAt(own));
    const teacher = taught === null || typeof taught === 'number' ? taught : await this.teacherAt(taught);
    const data = await this.remembered(this.images, job.images, () => this.imagesAt(job.images));
    return {
      ...{ data, modules, teacher: typeof teacher === 'number' ? `self:${teacher}` : teacher },
      ...(student !== undefined && { student }),
    };
  }

  private teacherAt(weights: WantedWeights): Promise<string> {
    return this.remembered(this.weights, weights, () => this.weightsAt(weights));
  }

  /** What was found stays as long as it is there: disks are unmounted. What was lacking is looked for again. */
  private async remembered(known: Map<string, string>, of: unknown, look: () => Promise<string>) {
    const key = canonical(of);
    const before = known.get(key);
    if (before !== undefined && (await isThere(before))) return before;
    const found = await look();
    known.set(key, found);
    return found;
  }

  private async module({ name, sha256 }: Job['modules'][number]): Promise<string> {
    const { modules } = this.options;
    if (modules === null)
      throw new Lacking(`${printable(name)}: a worker imports no files unless its owner allows a folder`);
    const path = resolve(modules, name);
    const found = await sha256OfFiles([path]).catch(() => null);
    if (found === sha256) {
      await import(pathToFileURL(path).href); // its settings are checked in this process
      return path;
    }
    throw new Lacking(
      `${printable(name)} (${short(sha256)}): ${found === null ? 'is not' : 'is another one'} in ${modules}`,
    );
  }

  private async imagesAt(images: WantedImages): Promise<string> {
    const others: string[] = [];
    for (const path of await this.imageCandidates(images)) {
      const is = await this.holds(path, images);
      if (is === true) return path;
      if (is !== null) others.push(is);
    }
    const { blob } = images;
    const path = blob && (await this.fromStore(blob, `${blob.sha256}.zip`));
    if (path) {
      const is = await this.holds(path, images);
      if (is === true) return path;
      others.push(`what comes through the store: ${is ?? 'cannot be opened'}`);
    }
    const places = this.options.data.length > 0 ? this.options.data.join(', ') : 'a folder of data: none is given';
    const seen = others.length > 0 ? ` (${others.join('; ')})` : '';
    throw new Lacking(`the images of ${printable(images.name)} are not in ${places}${seen}`);
  }

  private async imageCandidates({ name, hub }: WantedImages): Promise<string[]> {
    const local = this.options.data.flatMap((folder) => [
      ...(basename(folder).replace(/\.zip$/i, '') === name ? [folder] : []),
      ...[join(folder, name), join(folder, `${name}.zip`)],
    ]);
    return hub === null ? local : [...local, hub];
  }

  /** True where all images are those; null where there is nothing; else what there is instead. */
  private async holds(
    path: string,
    { fingerprints, splitSeed, protocol }: WantedImages,
  ): Promise<true | string | null> {
    const fetch = this.options.fetch ? fetching(path, this.control) : undefined;
    try {
      const found = await fingerprintsOf({ data: path, splitSeed, protocol }, fetch);
      return canonical(found) === canonical(fingerprints) ? true : `${path} has other images`;
    } catch (error) {
      if (!(error instanceof IdatError)) throw error;
      return /missing|hub\./.test(error.code) ? null : error.message;
    }
  }

  private async weightsAt(weights: WantedWeights): Promise<string> {
    const { name, file, sha256, blob } = weights;
    const candidates = file ? this.options.models.flatMap((folder) => [join(folder, name)]) : [name];
    let seen = '';
    for (const candidate of candidates) {
      const found = await this.hashOf(file ? resolve(candidate) : candidate);
      if (found === sha256) return file ? resolve(candidate) : candidate;
      if (found !== null) seen = ` (${candidate} has others)`;
    }
    const path = file && blob && (await this.fromStore(blob, join(blob.sha256, name)));
    if (path && (await this.hashOf(path)) === sha256) return path;
    const places =
      this.options.models.length > 0 ? this.options.models.join(', ') : 'a folder of models: none is given';
    const where = file ? `are not in ${places}` : 'are not on this disk';
    throw new Lacking(`the weights ${printable(name)} (${short(sha256)}) ${where}${seen}`);
  }

  /** Of a checkpoint's files; null where it cannot be opened. */
  private async hashOf(nameOrPath: string): Promise<string | null> {
    const fetch = this.options.fetch ? fetching(nameOrPath, this.control) : undefined;
    return resolveBackbone(nameOrPath, { fetch }).then(
      (backbone) => backbone.sha256,
      (error: unknown) => {
        if (error instanceof IdatError) return null;
        throw error;
      },
    );
  }

  private async fromStore(blob: Blob, place: string): Promise<string | null> {
    if (blob.bytes > this.options.limitBytes) return null;
    const cache = resolve(this.options.cache);
    const path = resolve(cache, place);
    if (!path.startsWith(join(cache, '/')))
      throw new IdatError('queue.job', `${printable(place)} leads out of the cache`);
    return fetchBlob(this.redis, this.queue, blob, path, cache).then(
      (there) => (there ? path : null),
      (error: unknown) => {
        if (error instanceof IdatError && error.code === 'queue.blob') return null; // its owner puts it there again
        throw error;
      },
    );
  }
}

/** Names of the hub and of weights are nowhere, and stay; so does a folder in a zip. */
const isThere = (place: string): Promise<boolean> =>
  isAbsolute(place)
    ? stat(place).then(
        () => true,
        ({ code }: NodeJS.ErrnoException) => code === 'ENOTDIR',
      )
    : Promise.resolve(true);

const short = (sha256: string): string => `${sha256.slice(0, 12)}…`;
