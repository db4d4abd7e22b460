/** Sends a dropped folder or zip of pictures to the studio, a few files at a time. */
import { ask } from './ask.js';

/** A file, and where it lay below what was dropped. */
export interface DroppedFile {
  readonly path: string;
  readonly file: File;
}

export interface Dropped {
  /** As the folder or zip is called. */
  readonly name: string;
  readonly files: readonly DroppedFile[];
  /** Files that are neither pictures nor lists. */
  readonly passedOver: number;
}

const AT_ONCE = 4;
const TAKEN = /\.(jpe?g|png|webp|gif|tiff?|avif|bmp|ppm|pgm|csv|txt|tsv|json|jsonl)$/i;
const ZIP = /\.zip$/i;

/** What was dropped, with all that lies in folders. @throws Error in words that can be shown */
export async function droppedFiles(data: DataTransfer): Promise<Dropped> {
  // asked for at once: the browser forgets them after the event
  const entries = [...data.items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  const loose = [...data.files];
  const files: DroppedFile[] = [];
  const visit = async (entry: FileSystemEntry, path: string): Promise<void> => {
    if (entry.isFile) {
      const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
      files.push({ path, file });
      return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    for (;;) {
      // a hundred at a time, until none come
      const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
      if (some.length === 0) return;
      for (const one of some) await visit(one, `${path}/${one.name}`);
    }
  };
  for (const entry of entries) await visit(entry, entry.name);
  // where files come from no disk, there are no entries
  if (entries.length === 0) for (const file of loose) files.push({ path: file.name, file });
  return sorted(files);
}

/** The same of a chosen folder or file. */
export const chosenFiles = (list: FileList): Dropped =>
  sorted([...list].map((file) => ({ path: file.webkitRelativePath || file.name, file })));

function sorted(all: readonly DroppedFile[]): Dropped {
  const [first] = all;
  if (!first) throw new Error('Nothing was dropped.');
  if (all.length === 1 && ZIP.test(first.path)) return { name: first.path, files: all, passedOver: 0 };
  const hidden = (path: string) => path.split('/').some((step) => step.startsWith('.') || step === '__MACOSX');
  const taken = all.filter(({ path }) => TAKEN.test(path) && !hidden(path));
  if (taken.length === 0)
    throw new Error('There is no picture in it: drop a folder with one folder for each class, or a zip.');
  const tops = new Set(taken.map(({ path }) => path.split('/')[0]!));
  const single = tops.size === 1 && taken.every(({ path }) => path.includes('/'));
  const [name] = single ? [...tops] : ['pictures'];
  const files = taken.map(({ path, file }) => ({ path: single ? path.slice(path.indexOf('/') + 1) : path, file }));
  return { name: name!, files, passedOver: all.length - taken.length };
}

export interface UploadControl {
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** @returns where it lies now, and what it is @throws Refusal, Error when it was stopped */
export async function upload(
  { name, files }: Dropped,
  { signal, onProgress }: UploadControl,
): Promise<{ path: string; says: string }> {
  const { id } = await ask<{ id: string }>('api/upload', { method: 'POST', body: { name }, signal });
  try {
    let next = 0;
    let done = 0;
    const work = async () => {
      while (next < files.length) {
        const { path, file } = files[next++]!;
        await ask('api/upload', { method: 'PUT', query: { id, path }, body: file, signal });
        onProgress(++done, files.length);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return await ask<{ path: string; says: string }>('api/upload/end', {
      method: 'POST',
      query: { id },
      body: {},
      signal,
    });
  } catch (error) {
    await ask('api/upload', { method: 'DELETE', query: { id } }).catch(() => {});
    throw error;
  }
}
