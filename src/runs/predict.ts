/** Naming what is on pictures in one go: opens a run, answers, closes it. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isImagePath } from '../data/file-tree.js';
import { leftOut } from '../data/left-out.js';
import { openDirectory } from '../data/node/directory.js';
import { type ImageSource, nameOfSource } from '../data/node/image-source.js';
import { IdatError } from '../errors.js';
import { type ImagePrediction, isWithoutNumbers, openClassifier, type RunOptions } from './classifier.js';
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
 * @throws IdatError as `openClassifier`; `predict.path` when there is no such file or folder, `predict.empty` when there is
 *   no image in them; `train.diverged` when the model gives no numbers for any of those that can be read
 */
export async function predict(
  runDir: string,
  images: readonly ImageSource[],
  options: RunOptions & { readonly top?: number } = {},
): Promise<Prediction[]> {
  const run = await openRun(runDir, options.student === undefined ? {} : { student: options.student });
  await noteUnfinished(run, options);
  const found = (await Promise.all(images.map(sourcesAt))).flat();
  if (found.length === 0) throw await nothingFound(images);
  const sources = found.map(({ source }) => source);
  const classifier = await openClassifier(run, options);
  try {
    const predictions = await classifier.predict(sources, {
      ...(options.top !== undefined && { top: options.top }),
      signal: options.signal,
      onProgress: (done, total) => options.onProgress?.({ kind: 'evaluate', done, total, split: 'images' }),
    });
    refuseDiverged(run.dir, predictions);
    return predictions.map((prediction, i) => ({
      path: found[i]!.name ?? nameOfSource(sources[i]!, i),
      ...prediction,
    }));
  } finally {
    await classifier.close();
  }
}

/** What answers no image at all is no matter of the images: one sentence, and not one for each. */
function refuseDiverged(dir: string, predictions: readonly ImagePrediction[]): void {
  const answered = predictions.some(({ error }) => error === undefined);
  if (answered || !predictions.some(isWithoutNumbers)) return;
  const what = 'its answers are no finite numbers, whatever the image: training has diverged';
  throw new IdatError('train.diverged', `${dir}: ${what}; train again with a lower lr`);
}

/** An image to answer for. `name` is what it is called where the source itself cannot tell. */
interface Found {
  readonly source: ImageSource;
  readonly name?: string;
}

/** The image itself, or the images below a folder, sorted: what a data set would take of it, links included. */
async function sourcesAt(source: ImageSource): Promise<Found[]> {
  if (typeof source !== 'string') return [{ source }];
  const there = await stat(source).catch(() => null);
  if (!there) throw new IdatError('predict.path', `${source}: no such file or folder; check the path`);
  if (!there.isDirectory()) return [{ source }];
  const tree = await openDirectory(source);
  const images = [...tree.files].filter(isImagePath).sort();
  return Promise.all(
    images.map(async (image) => {
      const [place, name] = [tree.pathOf(image), join(source, image)];
      // a path is text, so a file whose name is none is handed over by its bytes
      if (typeof place !== 'string') return { source: await readFile(place), name };
      return tree.isExact(image) ? { source: name } : { source: place, name };
    }),
  );
}

async function nothingFound(images: readonly ImageSource[]): Promise<IdatError> {
  if (images.length === 0) return new IdatError('predict.empty', 'no images given; give image files or folders');
  const folders = images.filter((source) => typeof source === 'string');
  const trees = await Promise.all(folders.map(openDirectory));
  const left = trees.map((tree) => leftOut(tree, [], true)).filter((text) => text !== '');
  return new IdatError('predict.empty', [`${folders.join(', ')}: no images found`, ...left].join('. '));
}
