/** How long to train: what each choice stands for, and how long it takes. */
import type { WebRequest } from '../runs/web/fine-tune.js';
import { CHOICES, type Choices } from './project.js';

/** The bundled pair, beside the page. */
export const STUDENT = 'vit_micro_patch4_32.cifar10';
export const TEACHER = 'vit_nano_patch4_32.cifar10';
export const addressOf = (model: string): string => new URL(`models/${model}.safetensors`, document.baseURI).href;

type Settings = Pick<
  WebRequest,
  | 'method'
  | 'head'
  | 'epochs'
  | 'lr'
  | 'distill'
  | 'flip'
  | 'cropPadding'
  | 'imageSize'
  | 'seed'
  | 'student'
  | 'teacher'
  | 'evalEvery'
>;

/** What each length stands for; docs/page.md has how they were chosen. */
const LENGTHS = {
  quick: { method: 'linear', head: 'ridge', epochs: 20, lr: 1e-3, imageSize: 48 },
  normal: { method: 'sequential', head: 'default', epochs: 40, lr: 3e-3, imageSize: 32 },
  long: { method: 'sequential', head: 'default', epochs: 100, lr: 3e-3, imageSize: 32 },
} as const;
/** Passes over the pictures besides those of the schedule: idat adds a tenth, at the lowest rate. */
const epochsIn = (epochs: number): number => epochs + Math.min(10, Math.floor(epochs / 10));

/** Which models a choice names. */
export function modelsOf({ models, own, length }: Choices): { student: string; teacher: string | null } {
  const { student, teacher } = models === 'own' && own ? own : { student: STUDENT, teacher: TEACHER };
  return { student, teacher: models === 'alone' || length === 'quick' ? null : teacher };
}

/** The choices of which no more is known than the model. */
export const choicesOver = (student: string): Choices =>
  student === STUDENT
    ? { ...CHOICES, models: 'alone' }
    : { ...CHOICES, models: 'own', own: { student, teacher: null } };

export function settingsOf(choices: Choices): Settings {
  const { length, flip, moves = true, ...own } = choices;
  const { method, head, ...usual } = LENGTHS[length];
  const { student, teacher } = modelsOf(choices);
  // a model of the visitor's own is read at the size it was made for
  const imageSize = own.imageSize ?? (student === STUDENT ? usual.imageSize : null);
  return {
    ...{ method, head, student, teacher },
    ...(teacher !== null && { distill: 'mse' }),
    epochs: own.epochs ?? usual.epochs,
    lr: own.lr ?? usual.lr,
    ...(imageSize !== null && { imageSize }),
    ...(own.seed !== null && { seed: own.seed }),
    ...(flip && { flip }),
    // as `--preset best`; a head alone, on features that are computed once, moves none
    ...(moves && method !== 'linear' && { cropPadding: 'auto' as const }),
    evalEvery: length === 'quick' ? 0 : 1,
  };
}

/** Seconds for one picture and pass, by method and side: measured on this machine where it has trained, else reckoned. */
export interface Pace {
  readonly [kind: string]: number;
}

/** Of two cores of a plain machine; `node bench/tab-pace.mjs`. */
const RECKONED = { taught: 0.01, alone: 0.008 };
const SIDE = 32;
/** What models of the visitor's own are mostly made for. */
const OWN_SIDE = 224;

export const kindOf = ({ method, student, teacher, imageSize, cropPadding }: Settings): string =>
  [student, teacher, method, imageSize, ...(cropPadding ? ['moved'] : [])].join('/');

/** Seconds of training, before it has begun. @param pictures to learn from */
export function secondsOf(choices: Choices, pictures: number, pace: Pace): number {
  const settings = settingsOf(choices);
  const side = Number(settings.imageSize ?? OWN_SIDE) / SIDE;
  // what a head alone learns from is computed once for each picture
  const passes = settings.method === 'linear' ? 1 : epochsIn(settings.epochs ?? 0);
  const reckoned = (settings.teacher === null ? RECKONED.alone : RECKONED.taught) * side ** 2.2;
  return 4 + pictures * passes * (pace[kindOf(settings)] ?? reckoned);
}

/** What was measured, for the next time. */
export function withMeasured(pace: Pace, choices: Choices, pictures: number, seconds: number): Pace {
  const settings = settingsOf(choices);
  const passes = settings.method === 'linear' ? 1 : epochsIn(settings.epochs ?? 0);
  return { ...pace, [kindOf(settings)]: seconds / Math.max(1, pictures * passes) };
}

/** `under a minute`, `about 4 minutes`. */
export function inWords(seconds: number): string {
  if (seconds < 20) return 'seconds';
  if (seconds < 50) return 'under a minute';
  const minutes = Math.max(1, Math.round(seconds / 60));
  if (minutes < 90) return `about ${minutes} ${minutes === 1 ? 'minute' : 'minutes'}`;
  return `about ${(seconds / 3600).toFixed(1)} hours`;
}

/** `0:07`, `12:30`. */
export const clock = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
