/**
 * What a page imports from `idat/classifier`: models that idat exported, kept loaded, and nothing of training.
 *
 * Pictures stay in the browser. Nothing is fetched but the files of this package and the addresses that the page itself names.
 */
export type { Adapter } from './classify/adapter.js';
export type { ClassProbability, ImagePrediction } from './classify/answers.js';
export type { ClassifyOptions, QuestionOptions } from './classify/classifier.js';
export type { WebImage } from './classify/web/images.js';
export { type Classifier, type OpenOptions, openAdapter, openClassifier } from './classify/web/open.js';
export type { PixelImage } from './data/pixel-image.js';
export { IdatError, type Issue } from './errors.js';
export type { WebFetchControl, WebFile } from './files/web/fetch.js';
export type { ImageSize } from './image-size.js';
