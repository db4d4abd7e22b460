/** A run packed for another machine: what prediction needs, frozen weights included, in one folder or zip. */
import { createWriteStream } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, extname, join, relative, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import yazl from 'yazl';
import { IdatError } from '../errors.js';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { type MovedWeights, type OpenedRun, openRun } from '../runs/open-run.js';
import { makeBeside, moveInto } from './fresh-folder.js';

/** Below the run: where its frozen weights lie when they are packed with it. */
const WEIGHTS = 'weights';
/** Of a run's own files, those that predicting, measuring and merging read. */
const NEEDED = ['classes.json', 'student.safetensors'];
const WELCOME = ['result.json', 'metrics.jsonl', 'split.json'];

export interface PackResult {
  /** The folder or zip. */
  readonly path: string;
  readonly bytes: number;
  readonly files: readonly string[];
}

/**
 * Packs a run's student. The outcome is a run directory that needs nothing else: it is predicted with, measured and merged
 * wherever it lies. It names no path of this machine.
 *
 * @param out a folder that is not there or empty, or a file that ends in .zip
 * @throws IdatError `pack.exists`, `export.folder` when none can be made there, `pack.weights` for weights in several files, and as `openRun`
 */
export async function packRun(runDir: string, out: string, moved: MovedWeights = {}): Promise<PackResult> {
  const run = await openRun(runDir, moved);
  const path = resolve(out);
  const zipped = extname(path).toLowerCase() === '.zip';
  await refuseExisting(path, zipped);
  const place = await makeBeside(path);
  try {
    await fill(place, run);
    await (await openRun(place)).model('student');
    const files = await filesBelow(place);
    if (zipped) {
      await zip(place, files, basename(path).replace(/\.zip$/i, ''), `${place}.zip`);
      await rename(`${place}.zip`, path);
    } else await moveInto(path, place);
    return { path, files, bytes: await sizeOf(path, files, zipped) };
  } finally {
    await rm(place, { recursive: true, force: true });
    await rm(`${place}.zip`, { force: true });
  }
}

async function refuseExisting(path: string, zipped: boolean): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (!found || (!zipped && found.isDirectory() && (await readdir(path)).length === 0)) return;
  const what = zipped ? 'there is a file of that name' : 'this is no empty folder';
  throw new IdatError('pack.exists', `${path}: ${what}; choose another place`);
}

async function fill(place: string, run: OpenedRun): Promise<void> {
  const { dir, record } = run;
  const { scratch, data, cacheDir: _, out: __, ...settings } = record.settings;
  const weights = scratch ? null : await weightsOf(run);
  const packed = {
    ...record,
    data: { ...record.data, source: basename(record.data.source) },
    student: { ...record.student, path: weights ? `${WEIGHTS}/${basename(weights)}` : record.student.path },
    teacher: record.teacher && { ...record.teacher, path: basename(record.teacher.path) },
    settings: {
      ...settings,
      ...(scratch && { scratch }),
      data: basename(data),
      student: weights ? `${WEIGHTS}/${basename(weights)}` : settings.student,
      teacher: settings.teacher && basename(settings.teacher),
    },
  };
  for (const name of NEEDED) await copyFile(join(dir, name), join(place, name));
  for (const name of WELCOME) await copyFile(join(dir, name), join(place, name)).catch(() => {});
  if (weights) {
    await mkdir(join(place, WEIGHTS));
    await copyFile(weights, join(place, WEIGHTS, basename(weights)));
  }
  await writeFileAtomic(join(place, 'config.json'), `${JSON.stringify(packed, null, 2)}\n`);
}

async function weightsOf(run: OpenedRun): Promise<string> {
  const { path } = await run.backbone('student');
  const found = await stat(path);
  if (found.isFile() && /\.(safetensors|npz)$/i.test(path)) return path;
  const what = `${path}: these weights are in several files`;
  throw new IdatError('pack.weights', `${what}; merge the run into one checkpoint, where its method merges`);
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();
}

/** Equal runs make equal zips: no times, no rights. Weights hardly shrink, so they are stored. */
async function zip(folder: string, files: readonly string[], top: string, target: string): Promise<void> {
  const archive = new yazl.ZipFile();
  for (const file of files) {
    const compress = /\.jsonl?$/.test(file);
    const options = { mtime: new Date(1980, 0, 1), mode: 0o100644, compress };
    if (compress) archive.addBuffer(await readFile(join(folder, file)), `${top}/${file}`, options);
    else archive.addFile(join(folder, file), `${top}/${file}`, options);
  }
  archive.end();
  await pipeline(archive.outputStream, createWriteStream(target));
}

async function sizeOf(path: string, files: readonly string[], zipped: boolean): Promise<number> {
  if (zipped) return (await stat(path)).size;
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(path, file))).size));
  return sizes.reduce((a, b) => a + b, 0);
}
