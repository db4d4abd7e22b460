/** A folder that appears whole or not at all. */

import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { IdatError } from '../errors.js';

/** @throws IdatError `export.exists` when something is there already */
export async function refuseExisting(out: string): Promise<void> {
  const path = resolve(out);
  const found = await stat(path).catch(() => null);
  if (!found || (found.isDirectory() && (await readdir(path)).length === 0)) return;
  const what = found.isDirectory() ? 'this folder is not empty' : 'there is a file of that name';
  throw new IdatError('export.exists', `${path}: ${what}; choose another folder, nothing is written over`);
}

/**
 * Fills a folder beside the place it is meant for, and moves it there when `fill` has ended; removes it when that fails.
 * @throws IdatError `export.exists`, `export.folder` when none can be made there
 */
export async function inFreshFolder<T>(out: string, fill: (place: string) => Promise<T>): Promise<T> {
  const path = resolve(out);
  await refuseExisting(path);
  const place = await makeBeside(path);
  try {
    const result = await fill(place);
    await moveInto(path, place);
    return result;
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/**
 * A folder beside the place it is meant for, so that what is made in it appears there whole or not at all.
 * @throws IdatError `export.folder`
 */
export async function makeBeside(path: string): Promise<string> {
  try {
    await mkdir(dirname(path), { recursive: true });
    const place = join(dirname(path), `.idat-export-${randomUUID()}`);
    await mkdir(place); // for all to read, as folders usually are
    return place;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const what = `${path}: cannot make this folder (${code}); choose another place`;
    throw new IdatError('export.folder', what, { cause: error });
  }
}

/** Puts a folder in the place it is meant for, where there may be an empty one. @throws IdatError `export.exists` */
export async function moveInto(path: string, place: string): Promise<void> {
  await rmdir(path).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return;
    await refuseExisting(path); // somebody may have been faster
    throw error;
  });
  await rename(place, path);
}

export interface WrittenFile {
  /** Below the folder, with slashes. */
  readonly name: string;
  readonly bytes: number;
}

export const readBack = async (folder: string, name: string): Promise<Uint8Array> =>
  new Uint8Array(await readFile(join(folder, name)));
