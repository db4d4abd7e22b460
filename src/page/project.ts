/** What a visitor makes: classes, their pictures, and what was trained of them. Plain data, and what follows from it. */
import type { RunResult } from '../settings/record.js';

/** One picture of a class. */
export interface Picture {
  /** sha256 of its bytes and its class: the same picture is taken once. */
  readonly id: string;
  readonly classId: string;
  /** Of the file, or of the recording. */
  readonly name: string;
  /** Pictures of one recording follow each other; null: a file. */
  readonly recording: string | null;
  readonly blob: Blob;
  /** When it came, in milliseconds. */
  readonly added: number;
}

export interface PictureClass {
  readonly id: string;
  readonly name: string;
}

/** How the page trains. Numbers are as the form has them. */
export interface Choices {
  readonly length: 'quick' | 'normal' | 'long';
  /** The pair that comes with the page, its larger model alone, or what the visitor brought. */
  readonly models: 'pair' | 'alone' | 'own';
  /** Names of the visitor's own, where they brought some. */
  readonly own: { readonly student: string; readonly teacher: string | null } | null;
  /** Null: as the length says. */
  readonly epochs: number | null;
  readonly lr: number | null;
  readonly imageSize: number | null;
  readonly seed: number | null;
  readonly flip: boolean;
  /** Missing in what older versions of the page kept. */
  readonly moves?: boolean;
}

/** A model's file that the visitor brought. */
export interface OwnModel {
  /** Without its ending. */
  readonly name: string;
  readonly blob: Blob;
}

export const CHOICES: Choices = {
  ...{ length: 'normal', models: 'pair', own: null, epochs: null, lr: null, imageSize: null, seed: null, flip: false },
  moves: true,
};

/** The run that belongs to the pictures. */
export interface ProjectRun {
  /** As the browser's storage calls it. */
  readonly name: string;
  /** Of its data: where each picture lay, so that it can go on. */
  readonly paths: readonly { readonly path: string; readonly id: string; readonly held: boolean }[];
  /** Null until it has ended. */
  readonly result: RunResult | null;
  /** Names of the classes, in the order of its answers. */
  readonly classes: readonly string[];
  /** What it was begun with. */
  readonly choices: Choices;
  /** The one in whose place it comes, which is there until this one's training has ended. */
  readonly before: ProjectRun | null;
}

/** A run and all in whose place it comes, the latest first. */
export const lineOf = (run: ProjectRun | null): ProjectRun[] => (run ? [run, ...lineOf(run.before)] : []);

/** Whether a run was not trained here: its pictures are none of the project's. */
export const cameAsZip = ({ paths }: ProjectRun): boolean => paths.length === 0;

/** What an epoch came to. */
export interface Point {
  /** From 1. */
  readonly epoch: number;
  readonly loss: number;
  /** Share of the pictures to learn from that were right. */
  readonly learnt: number;
  /** Of those set aside; null where nobody looked. */
  readonly held: number | null;
}

export interface Project {
  readonly classes: readonly PictureClass[];
  readonly choices: Choices;
  readonly run: ProjectRun | null;
  /** The run's curves. */
  readonly points: readonly Point[];
}

/** Fewer cannot be divided into those to learn from and one to be tested on. */
export const LEAST_PICTURES = 3;
/** With fewer the result says little. */
export const GOOD_PICTURES = 20;
/** Share of each class that is set aside to measure on. */
const HELD_SHARE = 0.2;

export const NO_PROJECT: Project = {
  classes: [
    { id: 'c1', name: 'Class 1' },
    { id: 'c2', name: 'Class 2' },
  ],
  choices: CHOICES,
  run: null,
  points: [],
};

/** Those whose class is there. */
export const inClasses = (classes: readonly PictureClass[], pictures: readonly Picture[]): Picture[] =>
  pictures.filter(({ classId }) => classes.some(({ id }) => id === classId));

/** Why training cannot begin, in a sentence; null where it can. */
export function obstacle(classes: readonly PictureClass[], pictures: readonly Picture[]): string | null {
  const filled = classes.filter(({ id }) => pictures.some(({ classId }) => classId === id));
  if (filled.length === 0) return 'Add pictures of at least two classes, then train.';
  if (filled.length === 1) {
    return `Only ${quoted(filled[0]!.name)} has pictures; add some of a second class, so that there is something to tell apart.`;
  }
  const folders = filled.map(({ name }) => folderOf(name));
  if (folders.includes('')) return 'A class has no name; give it one.';
  const second = folders.findIndex((folder, i) => folders.indexOf(folder) < i);
  if (second > 0) {
    const [one, other] = [folders.indexOf(folders[second]!), second].map((i) => quoted(filled[i]!.name));
    return `${one} and ${other} would be one class; give one of them another name.`;
  }
  const small = filled.find(({ id }) => pictures.filter(({ classId }) => classId === id).length < LEAST_PICTURES);
  if (!small) return null;
  const count = pictures.filter(({ classId }) => classId === small.id).length;
  const has = `${quoted(small.name)} has ${count} ${count === 1 ? 'picture' : 'pictures'}`;
  return `${has}; it needs at least ${LEAST_PICTURES}, one of which is set aside to test on. ${GOOD_PICTURES} or more are better.`;
}

const quoted = (text: string) => `“${text}”`;

/**
 * The pictures to measure on: a fifth of each class, at least one. Of files those whose hash comes first, so that they stay
 * the same ones when pictures are added; of a recording its last ones, as neighbours look alike and would be too easy.
 */
export function heldOut(pictures: readonly Picture[]): Set<string> {
  const held = new Set<string>();
  for (const ofClass of grouped(pictures, ({ classId }) => classId)) {
    const before = held.size;
    for (const group of grouped(ofClass, ({ recording }) => recording ?? '')) {
      const recorded = group[0]!.recording !== null;
      const ordered = [...group].sort(recorded ? (a, b) => b.added - a.added : (a, b) => (a.id < b.id ? -1 : 1));
      for (const { id } of ordered.slice(0, Math.floor(group.length * HELD_SHARE))) held.add(id);
    }
    const least = Math.max(1, Math.round(ofClass.length * HELD_SHARE));
    const missing = least - (held.size - before);
    const others = ofClass.filter(({ id }) => !held.has(id)).sort((a, b) => (a.id < b.id ? -1 : 1));
    for (const { id } of others.slice(0, Math.max(0, missing))) held.add(id);
  }
  return held;
}

function grouped<T>(items: readonly T[], key: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return [...groups.values()];
}

/** A folder's name for a class, composed as data sets have it: none leads elsewhere. */
export function folderOf(name: string): string {
  const folder = name
    .normalize('NFC')
    .trim()
    .replace(/[\\/\p{Cc}]/gu, '-')
    .replace(/^\.+/, '-');
  return folder.slice(0, 80);
}

/** The data set of a run: `train/CLASS/…` to learn from, `test/CLASS/…` to measure on. */
export function dataOf(
  classes: readonly PictureClass[],
  pictures: readonly Picture[],
): { readonly paths: ProjectRun['paths']; readonly files: readonly { readonly path: string; readonly blob: Blob }[] } {
  const held = heldOut(pictures);
  const names = new Map(classes.map(({ id, name }) => [id, folderOf(name)]));
  const listed = pictures.map((picture) => {
    const { id, classId, blob } = picture;
    const isHeld = held.has(id);
    const path = `${isHeld ? 'test' : 'train'}/${names.get(classId)}/${id.slice(0, 24)}.${extensionOf(blob)}`;
    return { path, id, held: isHeld, blob };
  });
  return {
    paths: listed.map(({ path, id, held: isHeld }) => ({ path, id, held: isHeld })),
    files: listed.map(({ path, blob }) => ({ path, blob })),
  };
}

const extensionOf = ({ type }: Blob): string => (type === 'image/png' ? 'png' : 'jpg');

/** A name that no class has yet. */
export function freeClassName(classes: readonly PictureClass[]): string {
  for (let n = classes.length + 1; ; n++) {
    const name = `Class ${n}`;
    if (!classes.some((one) => one.name === name)) return name;
  }
}
