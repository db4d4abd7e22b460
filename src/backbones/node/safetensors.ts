/** The tensors of safetensors files, left where they lie; several files when an index says so. */
import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { IdatError, printable } from '../../errors.js';
import { openSafetensors } from '../../files/node/safetensors-file.js';
import type { TensorFile } from '../checkpoints/naming.js';
import { storedTensors } from '../checkpoints/stored-safetensors.js';
import type { StoredTensor } from '../checkpoints/stored-tensor.js';
import { readBytes } from './read-bytes.js';

/** @throws IdatError as openSafetensors */
export async function openSafetensorsFile(path: string): Promise<TensorFile> {
  const place = await realpath(path).catch(() => path);
  const open = await openSafetensors(place);
  await open.close();
  const { tensors, metadata } = open.file;
  const read = (offset: number, byteLength: number) => readBytes(place, offset, byteLength);
  return { path, files: [place], tensors: storedTensors(tensors, place, read), metadata };
}

const Index = z.looseObject({ weight_map: z.record(z.string(), z.string()) });
const MAX_INDEX_BYTES = 16 * 2 ** 20;
const MAX_SHARDS = 1000;
/** As many as one file may hold: a thousand files of them would fill the memory. */
const MAX_TENSORS = 200_000;

/**
 * A checkpoint cut into several files: `model.safetensors.index.json` and its neighbours.
 * @throws IdatError `backbone.index` when the index is damaged or names files elsewhere, and as openSafetensors
 */
export async function openShards(path: string): Promise<TensorFile> {
  const wrong = (what: string, cause?: unknown) =>
    new IdatError('backbone.index', `${path}: ${what}; get the whole model again`, { cause });
  if ((await stat(path)).size > MAX_INDEX_BYTES) throw wrong('is larger than an index of tensors can be');
  let index: z.output<typeof Index>;
  try {
    index = Index.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    throw wrong('is no index of tensors (weight_map: names of tensors and of files)', error);
  }
  const names = [...new Set(Object.values(index.weight_map))].sort();
  const odd = names.find((name) => !/^[\w.-]{1,200}\.safetensors$/.test(name));
  if (odd !== undefined)
    throw wrong(`names the file ${printable(JSON.stringify(odd))}, which is no safetensors file beside it`);
  if (names.length > MAX_SHARDS) throw wrong(`names ${names.length} files, idat reads up to ${MAX_SHARDS}`);
  const shards: TensorFile[] = [];
  const tensors = new Map<string, StoredTensor>();
  for (const name of names) {
    const shard = await openSafetensorsFile(join(dirname(path), name));
    shards.push(shard);
    if (tensors.size + shard.tensors.size > MAX_TENSORS) throw wrong(`its files hold over ${MAX_TENSORS} tensors`);
    for (const [name, tensor] of shard.tensors) {
      if (tensors.has(name)) throw wrong(`two of its files hold ${printable(name)}`);
      tensors.set(name, tensor);
    }
  }
  const absent = Object.keys(index.weight_map).find((name) => !tensors.has(name));
  if (absent !== undefined) throw wrong(`none of its files holds ${printable(absent)}`);
  return { path, files: shards.flatMap(({ files }) => files), tensors, metadata: shards[0]?.metadata ?? {} };
}
