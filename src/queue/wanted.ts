/** What a run is made of, by content: how a sweep tells workers which images and weights are meant. */
import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import yazl from 'yazl';
import type { Backbone } from '../backbones/backbone.js';
import { readCompanions } from '../backbones/node/read-companions.js';
import { isModelPath } from '../backbones/node/registry.js';
import { type Directory, openDirectory } from '../data/node/directory.js';
import { IdatError } from '../errors.js';
import type { PlannedRun } from '../experiments/expand.js';
import { fingerprintsOf } from '../experiments/identity.js';
import { sha256, sha256OfFiles } from '../files/node/sha256.js';
import { hubDataOf } from '../hub/data-set.js';
import { openBackbone } from '../runs/backbones.js';
import { isInMemory, nameOfData } from '../runs/data-source.js';
import { canonical, type FineTuneSettings } from '../settings/config.js';
import { planOf } from '../settings/plan.js';
import type { Role } from '../step/roles.js';
import type { RunControl } from '../train/progress.js';
import type { Blob, WantedImages, WantedWeights } from './job.js';

/** A file that the store may hold, and where it lies here. */
export interface Carried {
  readonly blob: Blob;
  readonly path: string;
}

/** What a run's job says of images and weights. */
export interface Wanted {
  readonly images: WantedImages;
  readonly student: WantedWeights | null;
  readonly teacher: WantedWeights | number | null;
  readonly carried: readonly Carried[];
  /** Where the weights lie here. */
  readonly paths: { readonly student: string | null; readonly teacher: string | null };
}

/** Looks at each data set and each checkpoint once, however many runs are made of it. */
export class WantedSources {
  private readonly images = new Map<string, Promise<{ images: WantedImages; carried: Carried | null }>>();
  private readonly packed = new Map<string, Promise<Carried | null>>();
  private readonly weights = new Map<string, Promise<Described>>();

  /**
   * @param folder where what has to be packed is packed
   * @param limitBytes of what the store may carry, each
   */
  constructor(
    private readonly folder: string,
    private readonly limitBytes: number,
    private readonly control: RunControl = {},
  ) {}

  /** @throws IdatError as `openData` and `openBackbone`; `queue.memory` for images in memory */
  async of({ request, settings }: PlannedRun): Promise<Wanted> {
    if (isInMemory(request.data)) {
      const what = 'images in the memory of a program cannot go to another machine';
      throw new IdatError('queue.memory', `${what}; give a folder or a zip`);
    }
    const { images, carried } = await this.imagesOf(request.data as string, settings);
    const [student, teacher] = [await this.modelOf('student', settings), await this.modelOf('teacher', settings)];
    const files = [carried, student?.carried, teacher?.carried].filter((one) => one !== null && one !== undefined);
    const first = planOf(settings).models.teacher?.firstBlocks ?? null;
    return {
      images,
      student: student?.weights ?? null,
      teacher: first ?? teacher?.weights ?? null,
      carried: files,
      paths: {
        student: student?.path ?? null,
        teacher: teacher?.path ?? (first === null ? null : (student?.path ?? null)),
      },
    };
  }

  private imagesOf(data: string, settings: FineTuneSettings) {
    const key = canonical([data, settings.splitSeed, settings.protocol]);
    const known = this.images.get(key) ?? this.lookAtImages(data, settings);
    this.images.set(key, known);
    return known;
  }

  private async lookAtImages(data: string, settings: FineTuneSettings) {
    const hub = hubDataOf(data);
    const fingerprints = await fingerprintsOf(settings);
    const packing = this.packed.get(data) ?? (hub ? Promise.resolve(null) : this.packImages(data));
    this.packed.set(data, packing);
    const carried = await packing;
    const images: WantedImages = {
      name: hub ? hub.name.replaceAll('/', '-') : nameOfData(data),
      hub: hub && `hf-hub-data:${hub.name}`,
      splitSeed: settings.splitSeed,
      protocol: settings.protocol,
      fingerprints,
      blob: carried?.blob ?? null,
    };
    return { images, carried };
  }

  /** A zip as it is, a folder as a zip; null for what is too large. */
  private async packImages(data: string): Promise<Carried | null> {
    const found = await stat(data).catch(() => null);
    if (found?.isFile()) return found.size <= this.limitBytes ? carriedFile(data, found.size) : null;
    if (!found?.isDirectory()) return null;
    const folder = await openDirectory(data);
    let bytes = 0;
    for (const name of folder.files) bytes += (await stat(folder.pathOf(name))).size;
    if (folder.files.size === 0 || bytes > this.limitBytes) return null;
    const path = join(this.folder, `${sha256(data).slice(0, 16)}.zip`);
    await packFolder(folder, path);
    return carriedFile(path, (await stat(path)).size);
  }

  private async modelOf(role: Role, settings: FineTuneSettings) {
    const model = planOf(settings).models[role];
    if (!model || model.scratch || model.firstBlocks !== null) return null;
    const { name, imageSize, layerNormEps } = model;
    const key = canonical([name, imageSize, layerNormEps]);
    const open = async () =>
      describeWeights(name, await openBackbone(model, planOf(settings), this.control), this.limitBytes);
    const known = this.weights.get(key) ?? open();
    this.weights.set(key, known);
    return known;
  }
}

interface Described {
  readonly weights: WantedWeights;
  readonly carried: Carried | null;
  readonly path: string;
}

async function describeWeights(name: string, backbone: Backbone, limitBytes: number): Promise<Described> {
  const { sha256: hash, path } = backbone;
  if (!isModelPath(name)) return { weights: { name, file: false, sha256: hash, blob: null }, carried: null, path };
  const carried = await carriedWeights(path, limitBytes);
  return { weights: { name: basename(name), file: true, sha256: hash, blob: carried?.blob ?? null }, carried, path };
}

/** One file that tells all by itself; null for what is larger, in parts, or has files beside it that belong to it. */
async function carriedWeights(path: string, limitBytes: number): Promise<Carried | null> {
  if (!/\.(safetensors|npz)$/.test(extname(path))) return null;
  const { size } = await stat(path);
  const { huggingFace, timm, preprocessor } = await readCompanions(dirname(path));
  return size > limitBytes || huggingFace || timm || preprocessor ? null : carriedFile(path, size);
}

const carriedFile = async (path: string, bytes: number): Promise<Carried> => ({
  path,
  blob: { sha256: await sha256OfFiles([path]), bytes },
});

/** The files that a data set is read from, links followed. Equal folders make equal zips. Pictures hardly shrink, so they are stored. */
async function packFolder({ files, pathOf }: Directory, target: string): Promise<void> {
  const archive = new yazl.ZipFile();
  const options = { mtime: new Date(1980, 0, 1), mode: 0o100644, compress: false };
  for (const name of [...files].sort()) archive.addFile(pathOf(name) as string, name, options); // bytes serve as well
  archive.end();
  await pipeline(archive.outputStream, createWriteStream(target));
}
