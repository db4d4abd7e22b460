/** Naming what is on pictures in one go: opens a run, answers, closes it. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isImagePath } from '../data/file-tree.js';
import { type ImageSource, nameOfSource } from '../data/node/image-source.js';
import { IdatError } from '../errors.js';
import { type ImagePrediction, openClassifier, type RunOptions } from './classifier.js';
import { openRun } from './open-run.js';
import { noteUnfinished } from './unfinished.js';

export interface Prediction extends ImagePrediction {
  /** The file, or `image 1` and so on for what came from memory. */
  readonly path: string;
}

/**
 * Names what is on images.
 * @param images image files, folders of them, bytes of files, or pixels
 * @param options.top how many classes to name for each; default 5
 * @throws IdatError as `openClassifier`; `predict.path` when there is no such file or folder
 */
export async function predict(
  runDir: string,
  images: readonly ImageSource[],
  options: RunOptions & { readonly top?: number } = {},
): Promise<Prediction[]> {
  const run = await openRun(runDir, options.student === undefined ? {} : { student: options.student });
  await noteUnfinished(run, options);
  const sources = (await Promise.all(images.map(sourcesAt))).flat();
  const classifier = await openClassifier(run, options);
  try {
    const predictions = await classifier.predict(sources, {
      ...(options.top !== undefined && { top: options.top }),
      signal: options.signal,
      onProgress: (done, total) => options.onProgress?.({ kind: 'evaluate', done, total, split: 'images' }),
    });
    return predictions.map((prediction, i) => ({ path: nameOfSource(sources[i]!, i), ...prediction }));
  } finally {
    await classifier.close();
  }
}

/** The image itself, or the images below a folder, sorted. */
async function sourcesAt(source: ImageSource): Promise<ImageSource[]> {
  if (typeof source !== 'string') return [source];
  const found = await stat(source).catch(() => null);
  if (!found) throw new IdatError('predict.path', `${source}: no such file or folder; check the path`);
  if (!found.isDirectory()) return [source];
  const entries = await readdir(source, { withFileTypes: true });
  const below = await Promise.all(
    entries
      .filter((entry) => !entry.name.startsWith('.'))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((entry) => {
        if (entry.isDirectory()) return sourcesAt(join(source, entry.name));
        return entry.isFile() && isImagePath(entry.name) ? [join(source, entry.name)] : [];
      }),
  );
  return below.flat();
}
