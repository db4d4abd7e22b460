/**
 * Opens a data set from a path: finds out what is there and hands it to the reader of that layout.
 */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { IdatError } from '../../errors.js';
import { hubDataOf, obtainData } from '../../hub/data-set.js';
import type { FetchControl } from '../../hub/fetch.js';
import type { SplitOptions } from '../complete-splits.js';
import type { Dataset } from '../dataset.js';
import { type FileTree, subtree, topFolders } from '../file-tree.js';
import { listed, readLayout } from '../layout.js';
import { openDirectory } from './directory.js';
import { readParquet } from './parquet-layout.js';
import { openZip } from './zip.js';

/**
 * Opens one of: a folder with the lists of VTAB-1K, or with train.txt, test.txt and perhaps val.txt; a folder with one sub-folder a class; a folder with train/, test/ or
 * val/, each with class folders; images with a table of their labels, or Parquet files of both; a .zip of any of these, also below one single top folder. A folder inside a zip is
 * named as if it were unpacked: `vtab-1k.zip/vtab-1k/caltech101`.
 *
 * @param options.seed decides the splits idat makes where the data set has none
 * @param options.valFraction default 0.2
 * @param options.testFraction default 0.2
 * @param fetch how `hf-hub-data:ORG/NAME` is fetched when it is not on this disk; without it, it is not
 * @throws IdatError with a code `data.…` (or `hub.…`) and one sentence: what is wrong, where, what to do
 */
export async function openDataset(path: string, options: SplitOptions, fetch?: FetchControl): Promise<Dataset> {
  const onHub = hubDataOf(path);
  const tree = await openTree(onHub ? await obtainData(onHub, fetch) : path);
  try {
    const layout = await readLayout(tree, options, readParquet);
    return { source: path, ...layout, close: () => tree.close() };
  } catch (error) {
    await tree.close();
    throw error;
  }
}

async function openTree(path: string): Promise<FileTree> {
  const kind = await kindOf(path);
  if (kind === 'folder') return openDirectory(path);
  if (kind === 'file') {
    if (/\.zip$/i.test(path)) return openZip(path);
    throw new IdatError('data.path.kind', `${path}: is a file; expected a folder or a .zip`);
  }
  if (kind === 'special') {
    throw new IdatError('data.path.kind', `${path}: is a pipe, a socket or a device; expected a folder or a .zip`);
  }
  const zip = zipOnTheWay(path);
  if (zip && (await kindOf(zip)) === 'file') {
    const tree = await openZip(zip);
    const folder = path.slice(zip.length + 1).replace(/\/+$/, '');
    if (tree.folders.has(folder)) return subtree(tree, folder);
    await tree.close();
    throw new IdatError(
      'data.path.missing',
      `${path}: ${zip} has no folder ${folder}; it has ${listed(topFolders(tree))}`,
    );
  }
  throw new IdatError('data.path.missing', `${path}: no such folder or file; give a data set's folder or its .zip`);
}

async function kindOf(path: string): Promise<'folder' | 'file' | 'special' | null> {
  const found = await stat(path).catch(() => null);
  if (!found) return null;
  return found.isDirectory() ? 'folder' : found.isFile() ? 'file' : 'special';
}

function zipOnTheWay(path: string): string | null {
  for (let parent = dirname(path); parent !== dirname(parent); parent = dirname(parent)) {
    if (/\.zip$/i.test(parent)) return parent;
  }
  return null;
}
