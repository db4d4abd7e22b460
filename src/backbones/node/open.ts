/** Opening a checkpoint: which format it is, by its bytes; whose names it uses, by its names. */
import { open, readdir, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { IdatError } from '../../errors.js';
import type { BackboneSizes } from '../backbone.js';
import type { Checkpoint, TensorFile } from '../checkpoints/naming.js';
import { checkpointOf } from '../checkpoints/recognised.js';
import { isSafetensors, pickleAdvice, refuseOtherFormats } from '../checkpoints/refused.js';
import { openNpz } from './npz.js';
import { readCompanions } from './read-companions.js';
import { openSafetensorsFile, openShards } from './safetensors.js';

/**
 * Opens a checkpoint: a .safetensors or .npz file, an index of several, or a folder as transformers and timm write it.
 * Numbers are left where they are until they are asked for.
 *
 * @param besides names of tensors to pass over
 * @param known sizes known from elsewhere, for what neither tensors nor the files beside them tell
 * @throws IdatError for everything else: what it is, and what to do about it
 */
export async function openCheckpoint(path: string, besides?: RegExp, known: BackboneSizes = {}): Promise<Checkpoint> {
  const file = await openTensors(await fileAt(path));
  return checkpointOf(file, () => readCompanions(dirname(file.path)), besides, known);
}

/** What every run has written. */
const RUN_FILES = ['student.safetensors', 'config.json', 'metrics.jsonl'];

const MODEL_FILES = ['model.safetensors', 'model.safetensors.index.json'];

/** The file meant by a path: itself, or that of the model in a folder. */
async function fileAt(path: string): Promise<string> {
  const found = await stat(path).catch(() => null);
  const repo = relative(process.cwd(), path);
  if (!found && /^\w[\w.-]*\/\w[\w.-]*$/.test(repo) && !/\.(safetensors|npz|json)$/i.test(repo)) {
    const what = `no such file or folder; if a repository of the hub is meant, write hf-hub:${repo}`;
    throw new IdatError('backbone.absent', `${path}: ${what}`);
  }
  if (!found?.isDirectory()) return path;
  const names = await readdir(path);
  const model = MODEL_FILES.find((name) => names.includes(name));
  if (model) return join(path, model);
  if (RUN_FILES.every((name) => names.includes(name))) {
    const what =
      'is the directory of a run: its student.safetensors is what training added to a backbone, and no backbone';
    throw new IdatError(
      'backbone.folder',
      `${path}: ${what}; give the checkpoint the run began with, or merge the run into one`,
    );
  }
  const others = names.filter((name) => /\.(safetensors|npz)$/.test(name)).sort();
  if (others.length === 1) return join(path, others[0]!);
  const pickle = names.find((name) => /\.(bin|pth|pt)$/.test(name));
  const advice =
    others.length > 0
      ? `it has ${others.slice(0, 3).join(', ')}; give one of them`
      : pickle !== undefined
        ? `it has ${pickle}, a PyTorch pickle: ${pickleAdvice(join(path, pickle))}`
        : 'give the path of a .safetensors or .npz file, or of a folder that has one';
  throw new IdatError('backbone.folder', `${path}: there is no model.safetensors in this folder; ${advice}`);
}

/** Enough for every magic number, that of tar at 257 included. */
const HEAD_BYTES = 512;

async function openTensors(path: string): Promise<TensorFile> {
  const head = await firstBytes(path);
  if (head[0] === 0x50 && head[1] === 0x4b) return openNpz(path);
  if (/\.index\.json$/.test(path)) return openShards(path);
  if (!isSafetensors(head)) refuseOtherFormats(head, path);
  return openSafetensorsFile(path);
}

/** None where the file cannot be read: opening it as safetensors says why. */
async function firstBytes(path: string): Promise<Uint8Array> {
  const found = await stat(path).catch(() => null);
  if (!found?.isFile()) return new Uint8Array();
  const handle = await open(path, 'r').catch(() => null);
  if (!handle) return new Uint8Array();
  try {
    const bytes = new Uint8Array(HEAD_BYTES);
    const { bytesRead } = await handle.read(bytes, 0, HEAD_BYTES, 0);
    return bytes.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
