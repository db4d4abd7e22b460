/** Reads what lies beside the weights of a checkpoint. */
import { constants, open } from 'node:fs/promises';
import { join } from 'node:path';
import { IdatError } from '../../errors.js';
import { readFully } from '../../files/node/read-write.js';
import {
  type Companions,
  checked,
  HuggingFaceConfig,
  Preprocessor,
  refused,
  TimmConfig,
} from '../checkpoints/companions.js';

/**
 * Reads what lies in a folder. A config.json of another program is as good as none.
 * @throws IdatError `backbone.config` when a file is not JSON, too large, or has a field of the wrong type
 */
export async function readCompanions(folder: string): Promise<Companions> {
  const configPath = join(folder, 'config.json');
  const config = await readJson(configPath);
  const has = (field: string) => typeof config === 'object' && config !== null && Object.hasOwn(config, field);
  const [preprocessorPath, preprocessor] = await readPreprocessor(folder);
  return {
    configPath,
    huggingFace: has('model_type') ? checked(configPath, HuggingFaceConfig, config) : null,
    timm: has('architecture') ? checked(configPath, TimmConfig, config) : null,
    preprocessor: preprocessor === null ? null : checked(preprocessorPath, Preprocessor, preprocessor),
  };
}

/** preprocessor_config.json, or what transformers 5 writes of a processor of images and texts. */
async function readPreprocessor(folder: string): Promise<[path: string, found: unknown]> {
  const own = join(folder, 'preprocessor_config.json');
  const found = await readJson(own);
  if (found !== null) return [own, found];
  const both = join(folder, 'processor_config.json');
  return [both, ((await readJson(both)) as { image_processor?: unknown } | null)?.image_processor ?? null];
}

/** The names of 22,000 classes, twice, are 2 MB. */
const MAX_CONFIG_BYTES = 16 * 2 ** 20;

async function readJson(path: string): Promise<unknown> {
  // without O_NONBLOCK a named pipe would wait for a writer; Windows has neither
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
      throw refused(path, `cannot be read (${error.code})`, error);
    },
  );
  if (!handle) return null;
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw refused(path, 'is no file');
    const { size } = found;
    if (size > MAX_CONFIG_BYTES) throw refused(path, `has ${size} bytes, more than a configuration can have`);
    const bytes = new Uint8Array(size);
    await readFully(handle, bytes, 0);
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown;
  } catch (error) {
    if (error instanceof IdatError) throw error;
    throw refused(path, 'is not JSON', error);
  } finally {
    await handle.close();
  }
}
