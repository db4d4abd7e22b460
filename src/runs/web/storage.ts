/** Runs in a browser's own storage, the origin private file system: a folder each, with the files of a run directory. */
import { IdatError } from '../../errors.js';
import { safetensorsIn } from '../../files/safetensors-reader.js';
import type { RunFolder } from '../../train/run-files.js';

/** Folders on the way to the runs. */
const HOME = ['idat', 'runs'];
const NAME = /^[\w][\w .()-]{0,99}$/;

/** A run's folder in the storage, all of whose files can be taken out. */
export interface StoredRun extends RunFolder {
  readonly name: string;
  /** Every file of the run. */
  files(): Promise<{ name: string; bytes: Uint8Array }[]>;
}

/** Names of the runs there are, sorted. @throws IdatError `run.storage` */
export async function listStored(): Promise<string[]> {
  const names: string[] = [];
  for await (const [name, handle] of entriesOf(await home())) {
    if (handle.kind === 'directory' && (await isRun(handle as FileSystemDirectoryHandle))) names.push(name);
  }
  return names.sort();
}

/** A tab that is closed while it begins a run leaves a folder without the record, which is written last. */
const isRun = (folder: FileSystemDirectoryHandle): Promise<boolean> =>
  folder.getFileHandle('config.json').then(
    async (record) => (await record.getFile()).size > 0,
    () => false,
  );

/** @throws IdatError `run.missing`, `run.storage` */
export async function openStored(name: string): Promise<StoredRun> {
  const runs = await home();
  try {
    return storedRun(name, await runs.getDirectoryHandle(checkedName(name)));
  } catch (error) {
    if (error instanceof IdatError) throw error;
    throw new IdatError('run.missing', `${name}: this browser keeps no run of this name`, { cause: error });
  }
}

/** Whether a run may be kept under this name, before time is spent on it. @throws IdatError as `createStored` */
export async function refuseStored(name: string): Promise<void> {
  if ((await listStored()).includes(checkedName(name))) {
    throw new IdatError('run.exists', `${name}: has a run already: go on with it, or choose another name`);
  }
}

/** Called with the run's lock: what a closed tab left under this name goes. @throws IdatError `run.name`, `run.exists`, `run.storage` */
export async function createStored(name: string): Promise<StoredRun> {
  const runs = await home();
  await refuseStored(name);
  return explained(name, async () => {
    await runs.removeEntry(name, { recursive: true }).catch((error: DOMException) => {
      if (error.name !== 'NotFoundError') throw error;
    });
    return storedRun(name, await runs.getDirectoryHandle(name, { create: true }));
  });
}

/** A name that no run has: the base with the next free number. */
export async function freeName(base: string): Promise<string> {
  const taken = await listStored();
  const safe =
    base
      .replace(/[^\w .()-]/g, '-')
      .replace(/^\W+/, '')
      .slice(0, 80) || 'run';
  for (let n = 1; ; n++) if (!taken.includes(`${safe}-${n}`)) return `${safe}-${n}`;
}

/** @throws IdatError `run.locked` when a tab is at work on it; `run.missing`, `run.storage` */
export const removeStored = (name: string): Promise<void> => withRunLock(name, () => dropStored(name));

/** Called with the run's lock. @throws IdatError `run.missing`, `run.storage` */
export async function dropStored(name: string): Promise<void> {
  await openStored(name);
  await explained(name, async () => (await home()).removeEntry(name, { recursive: true }));
}

/**
 * Holds a run for this tab while something is done; released when the tab is closed, too.
 * @throws IdatError `run.locked` when another tab is at work on it
 */
export function withRunLock<T>(name: string, action: () => Promise<T>): Promise<T> {
  if (!navigator.locks) return action();
  return navigator.locks.request(`idat-run-${name}`, { ifAvailable: true }, (lock) => {
    if (lock) return action();
    const what = `${name}: another tab is at work on this run`;
    throw new IdatError('run.locked', `${what}; wait until it has ended, or stop it`);
  }) as Promise<T>;
}

function checkedName(name: string): string {
  if (NAME.test(name)) return name;
  const what = 'letters, digits, spaces and . ( ) - _ were expected, 100 of them at most';
  throw new IdatError('run.name', `${name.slice(0, 100)}: no name for a run; ${what}`);
}

async function home(): Promise<FileSystemDirectoryHandle> {
  if (!navigator.storage?.getDirectory) {
    const what = 'this browser keeps no files for pages';
    throw new IdatError('run.storage', `${what}; open the page by https or on localhost, not in a private window`);
  }
  return explained('the storage', async () => {
    let folder = await navigator.storage.getDirectory();
    for (const name of HOME) folder = await folder.getDirectoryHandle(name, { create: true });
    return folder;
  });
}

function storedRun(name: string, folder: FileSystemDirectoryHandle): StoredRun {
  const place = `the run ${name} in this browser`;
  const pathOf = (file: string) => `${name}/${file}`;
  const open = async (file: string): Promise<File | null> => {
    try {
      return await (await folder.getFileHandle(file)).getFile();
    } catch (error) {
      if ((error as DOMException).name === 'NotFoundError') return null;
      throw new IdatError('run.damaged', `${pathOf(file)}: cannot be read; import the run again`, { cause: error });
    }
  };
  return {
    name,
    place,
    pathOf,
    text: async (file) => (await open(file))?.text() ?? null,
    tensors: async (file) => {
      const found = await open(file);
      if (!found) return null;
      const bytes = new Uint8Array(await found.arrayBuffer());
      return { ...safetensorsIn(bytes, pathOf(file)), close: async () => {} };
    },
    write: (file, content) =>
      explained(pathOf(file), async () => {
        const handle = await folder.getFileHandle(file, { create: true });
        // what is written takes the file's place when it is closed, and not before
        const stream = await handle.createWritable();
        try {
          await stream.write(content as string | Uint8Array<ArrayBuffer>);
          await stream.close();
        } catch (error) {
          await stream.abort().catch(() => {});
          throw error;
        }
      }),
    files: async () => {
      const all: { name: string; bytes: Uint8Array }[] = [];
      for await (const [file, handle] of entriesOf(folder)) {
        if (handle.kind !== 'file' || /\.crswap$/.test(file)) continue; // what Chromium writes beside the file
        all.push({
          name: file,
          bytes: new Uint8Array(await (await (handle as FileSystemFileHandle).getFile()).arrayBuffer()),
        });
      }
      return all.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
  };
}

/** Entries of a folder; TypeScript's DOM does not know of them everywhere. */
const entriesOf = (folder: FileSystemDirectoryHandle) =>
  folder as unknown as AsyncIterable<[string, FileSystemFileHandle | FileSystemDirectoryHandle]>;

/** @throws IdatError `run.storage` in place of the browser's own error */
async function explained<T>(what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof IdatError) throw error;
    const { name, message } = error as DOMException;
    const reason =
      name === 'QuotaExceededError'
        ? 'the browser gives this page no more room; remove runs that are no longer needed'
        : `cannot be written in this browser’s storage (${message})`;
    throw new IdatError('run.storage', `${what}: ${reason}`, { cause: error });
  }
}
