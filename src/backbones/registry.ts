/** From a name or a path to a backbone: where the files of known ones are looked for. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IdatError, nearest } from '../errors.js';
import { cacheFolder } from '../files/cache-folder.js';
import type { Backbone } from './backbone.js';
import { backboneFromFile } from './checkpoint.js';
import { KNOWN_BACKBONES, type KnownBackbone, knownBackbone, withoutTag } from './known-backbones.js';

/** Folders searched for `NAME.safetensors`: the package's own, then the user's. */
export const MODEL_FOLDERS: readonly string[] = [
  fileURLToPath(new URL('../../assets/models', import.meta.url)),
  join(cacheFolder(), 'models'),
];

/** Whether a file of the user's own is meant: what has a separator or the ending of one, and is no known name. */
export const isModelPath = (nameOrPath: string): boolean =>
  /[\\/]|\.safetensors$/.test(nameOrPath) && knownBackbone(nameOrPath) === undefined;

/**
 * A backbone by timm's name, or from a safetensors file of the user's own (anything with a path separator or ending in
 * .safetensors).
 *
 * @param options.imageSize side of the input in pixels when it is not the checkpoint's; positions are resized
 * @throws IdatError for an unknown name (offering the nearest), or a known one whose file is not on this disk
 */
export async function resolveBackbone(
  nameOrPath: string,
  options: { imageSize?: number | undefined } = {},
): Promise<Backbone> {
  const wanted = options.imageSize === undefined ? {} : { imageSize: options.imageSize };
  const known = knownBackbone(nameOrPath);
  if (!known) {
    if (isModelPath(nameOrPath)) return backboneFromFile(nameOrPath, { config: wanted });
    // without a tag, compare with names without theirs
    const typed = nameOrPath.includes('.') ? (name: string) => name : withoutTag;
    const near = nearest(nameOrPath, new Set(KNOWN_BACKBONES.map(({ name }) => typed(name))));
    throw new IdatError(
      'backbone.unknown',
      `unknown model '${nameOrPath}'; did you mean ${near.join(', ')}? A file of your own is given by its path`,
    );
  }
  for (const folder of MODEL_FOLDERS) {
    const path = join(folder, `${known.name}.safetensors`);
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return backboneFromFile(path, { name: known.name, config: { ...known.config, ...wanted } });
  }
  throw new IdatError(
    'backbone.absent',
    `${known.name} is not on this disk; get it from ${source(known)} and put it at ${join(MODEL_FOLDERS[1]!, `${known.name}.safetensors`)}`,
  );
}

const source = ({ hub }: KnownBackbone): string =>
  hub ? `https://huggingface.co/${hub.repo} (${hub.file})` : 'the package, which should have it';
