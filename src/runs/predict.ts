/** Naming what is on pictures in one go: opens a run or an export, answers, closes it. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImagePrediction } from '../classify/answers.js';
import { isWithoutNumbers } from '../classify/classifier.js';
import { isImagePath } from '../data/file-tree.js';
import { leftOut } from '../data/left-out.js';
import { openDirectory } from '../data/node/directory.js';
import { type ImageSource, nameOfSource } from '../data/node/image-source.js';
import { IdatError } from '../errors.js';
import { classifierFrom, type OpenOptions } from './classifier.js';
import { type ClassifierSource, openSource } from './classifier-source.js';
import { noteUnfinished } from './unfinished.js';

export interface Prediction extends ImagePrediction {
  /** The file, or `image 1` and so on for what came from memory. */
  readonly path: string;
}

export interface PredictOptions extends OpenOptions {
  /** How many classes to name for each; default 5. */
  readonly top?: number;
  /** Share of the validation images that are not to be taken for none of the classes; default 0.95. */
  readonly keep?: number;
}

/**
 * Names what is on images.
 * @param source a run directory, or what else `openClassifier` takes
 * @param images image files, folders of them, bytes of files, or pixels
 * @throws IdatError as `openClassifier` and `classify`; `predict.path` when there is no such file or folder, `predict.empty`
 *   when there is no image in them; `train.diverged` when the model gives no numbers for any of those that can be read
 */
export async function predict(
  source: ClassifierSource,
  images: readonly ImageSource[],
  options: PredictOptions = {},
): Promise<Prediction[]> {
  const opened = await openSource(source, options);
  if (opened.kind === 'run') await noteUnfinished(opened.run, options);
  const found = (await Promise.all(images.map(sourcesAt))).flat();
  if (found.length === 0) throw await nothingFound(images);
  const sources = found.map((one) => one.source);
  const classifier = await classifierFrom(opened, options);
  try {
    const predictions = await classifier.classify(sources, {
      ...(options.top !== undefined && { top: options.top }),
      ...(options.keep !== undefined && { keep: options.keep }),
      signal: options.signal,
      onProgress: (done, total) => options.onProgress?.({ kind: 'evaluate', done, total, split: 'images' }),
    });
    refuseDiverged(opened.kind === 'run' ? opened.run.dir : opened.name, predictions);
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
