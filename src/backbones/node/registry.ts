/** From a name or a path to a backbone: where the files of known ones are looked for. */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IdatError, nearest } from '../../errors.js';
import { cacheFolder } from '../../files/node/cache-folder.js';
import { packageFile } from '../../files/node/package-root.js';
import { cachedFile, isFile } from '../../hub/cache.js';
import { hubCacheFolder, isOffline } from '../../hub/environment.js';
import { type FetchControl, fetchFromHub, indexOf } from '../../hub/fetch.js';
import type { ImageSize } from '../../image-size.js';
import type { Backbone, BackboneSizes } from '../backbone.js';
import { fromTransformers, type HubSource, KNOWN_BACKBONES, knownBackbone, withoutTag } from '../known-backbones.js';
import { backboneFromFile } from './checkpoint.js';

export { KNOWN_BACKBONES, type KnownBackbone, knownBackbone } from '../known-backbones.js';

/** Folders searched for `NAME.safetensors`: the package's own, then the user's. */
const bundledFolder = (): string => fileURLToPath(packageFile('assets/models'));
const ownFolder = (): string => join(cacheFolder(), 'models');

/** In front of a repository of the hub, as timm writes it. */
const HUB_PREFIX = 'hf-hub:';

/** Whether a file or folder of the user's own is meant: what has a separator or the ending of a checkpoint, and is no name. */
export const isModelPath = (nameOrPath: string): boolean =>
  /[\\/]|\.(safetensors|npz|json|pth|pt|bin|ckpt|h5|msgpack|onnx)$/i.test(nameOrPath) &&
  namedWeights(nameOrPath) === null;

/** Weights that have a name. */
export interface NamedWeights {
  readonly name: string;
  /** null: bundled with idat. */
  readonly hub: HubSource | null;
}

/** What a name stands for: a known backbone, or `hf-hub:ORG/NAME`; null for what is neither. */
export function namedWeights(name: string): NamedWeights | null {
  if (!name.startsWith(HUB_PREFIX)) return knownBackbone(name) ?? null;
  const repo = name.slice(HUB_PREFIX.length);
  return KNOWN_BACKBONES.find(({ hub }) => hub?.repo === repo) ?? { name, hub: fromTransformers(repo) };
}

/** The same for a name that has to be one. @throws IdatError `backbone.unknown`, offering the nearest names */
export function weightsNamed(name: string): NamedWeights {
  const weights = namedWeights(name);
  if (!weights) throw unknown(name);
  return weights;
}

/**
 * Where the weights are on this disk, or null. Asks nobody else.
 * @throws IdatError `hub.name`
 */
export async function findWeights({ name, hub }: NamedWeights): Promise<string | null> {
  for (const folder of [bundledFolder(), ownFolder()]) {
    const path = join(folder, `${name}.safetensors`);
    if (!name.includes('/') && (await isFile(path))) return path;
  }
  if (hub === null) return null;
  const cached = (file: string) => cachedFile(hubCacheFolder(), hub.repo, file);
  return (await cached(hub.file)) ?? cached(indexOf(hub.file));
}

/**
 * Where the weights are on this disk; those that are not there are fetched from the hub.
 *
 * @param fetch how to fetch; undefined: not at all
 * @throws IdatError `backbone.absent` when they are not there and may not be fetched, and `hub.*` when they could not be;
 *   both say which file to put where
 */
export async function obtainWeights(weights: NamedWeights, fetch: FetchControl | undefined): Promise<string> {
  const found = await findWeights(weights);
  if (found !== null) return found;
  const byHand = instructions(weights);
  if (weights.hub === null || fetch === undefined || isOffline()) {
    const why = fetch !== undefined && isOffline() ? ', and HF_HUB_OFFLINE forbids to fetch it' : '';
    throw new IdatError('backbone.absent', `${weights.name} is not on this disk${why}; ${byHand}`);
  }
  try {
    return await fetchFromHub(weights.hub, fetch);
  } catch (error) {
    if (!(error instanceof IdatError) || /\.(interrupted|disk|cache|name)$/.test(error.code)) throw error;
    const message = `${error.message}. Without fetching: ${byHand}`;
    throw new IdatError(error.code, message, { cause: error });
  }
}

function instructions({ name, hub }: NamedWeights): string {
  if (hub === null) return 'it comes with idat, whose installation is incomplete';
  const { repo, file } = hub;
  const source = `get it from https://huggingface.co/${repo} (${file})`;
  if (!name.includes('/')) return `${source} and put it at ${join(ownFolder(), `${name}.safetensors`)}`;
  return `${source} with its config.json, and give the path of the file instead of the name`;
}

/** What the user may set about a backbone. */
export interface BackboneOptions {
  /** Of the input when it is not the checkpoint's; positions are resized. */
  readonly imageSize?: ImageSize | undefined;
  /** Epsilon of the norms when it is not the checkpoint's. */
  readonly layerNormEps?: number | undefined;
}

/**
 * A backbone by its name, from a repository of the hub (`hf-hub:ORG/NAME`), or from a checkpoint of the user's own,
 * given by its path.
 *
 * @param options.fetch how to fetch weights that are not on this disk; undefined: not at all
 * @throws IdatError `backbone.unknown` for an unknown name (offering the nearest), and as `obtainWeights`
 */
export async function resolveBackbone(
  nameOrPath: string,
  options: BackboneOptions & { readonly fetch?: FetchControl | undefined } = {},
): Promise<Backbone> {
  const { imageSize, layerNormEps, fetch } = options;
  const wanted = { ...(imageSize !== undefined && { imageSize }), ...(layerNormEps !== undefined && { layerNormEps }) };
  if (isModelPath(nameOrPath)) return backboneFromFile(nameOrPath, { config: wanted as BackboneSizes });
  const weights = weightsNamed(nameOrPath);
  const path = await obtainWeights(weights, fetch);
  const known = knownBackbone(weights.name);
  return backboneFromFile(path, {
    ...known,
    name: weights.name,
    config: { ...known?.config, ...wanted } as BackboneSizes,
  });
}

/** Offers the nearest names. */
function unknown(name: string): IdatError {
  // without a tag, compare with names without theirs
  const typed = name.includes('.') ? (known: string) => known : withoutTag;
  const near = nearest(name, new Set(KNOWN_BACKBONES.map((known) => typed(known.name))));
  const advice = 'A file of your own is given by its path';
  return new IdatError('backbone.unknown', `unknown model '${name}'; did you mean ${near.join(', ')}? ${advice}`);
}
