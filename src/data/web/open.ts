/** Data sets in a tab: a .zip, or files with their paths, as a page gets them from a file picker. */
import { IdatError } from '../../errors.js';
import { readZip, type ZipEntry } from '../../files/web/zip.js';
import type { SplitOptions } from '../complete-splits.js';
import type { Dataset } from '../dataset.js';
import { addParents, type FileTree, isHiddenImage, isLitter, MAX_IMAGE_BYTES, type Why } from '../file-tree.js';
import { readLayout } from '../layout.js';

/** One file of a data set. */
export interface NamedFile {
  /** Below the data set's folder, with forward slashes: `train/cat/1.jpg`. */
  readonly path: string;
  readonly blob: Blob;
}

/** A data set as a page has it: a zip, or its files. */
export type WebData = Blob | readonly NamedFile[];

/**
 * Opens what `idat train` opens, but for Parquet.
 * @param name what messages and the run's settings call it
 * @throws IdatError `data.…` and one sentence: what is wrong, where, what to do
 */
export async function openWebDataset(data: WebData, name: string, options: SplitOptions): Promise<Dataset> {
  const tree = data instanceof Blob ? await zipTree(data, name) : filesTree(data, name);
  const layout = await readLayout(tree, options);
  return { source: name, ...layout, close: () => tree.close() };
}

type Reader = { readonly bytes: number; readonly link?: boolean; read(): Promise<Uint8Array> };

/** A zip as a data set is read from. @throws IdatError `data.zip.…` */
export async function zipTree(blob: Blob, name: string): Promise<FileTree> {
  const entries = await readZip(blob).catch((error: Error) => {
    const code = /would leave it/.test(error.message) ? 'data.zip.escape' : 'data.zip.broken';
    const what = `not a usable zip (${error.message}); pack or fetch it again`;
    throw new IdatError(code, `${name}: ${what}`, { cause: error });
  });
  const explained = ({ name: inner, bytes, symbolicLink, read }: ZipEntry): Reader => ({
    bytes,
    link: symbolicLink,
    read: () =>
      read().catch((error: Error) => {
        const what = `damaged zip entry (${error.message}); pack or fetch the zip again`;
        throw new IdatError('data.zip.broken', `${name}/${inner}: ${what}`, { cause: error });
      }),
  });
  return treeOf(
    name,
    entries.map((entry) => [entry.name.replace(/^(\.\/)+/, ''), explained(entry)] as const),
  );
}

/** Files with their paths as a data set is read from. @throws IdatError `data.zip.depth`, `data.zip.duplicate` */
export const filesTree = (files: readonly NamedFile[], name: string): FileTree =>
  treeOf(
    name,
    files.map(({ path, blob }) => {
      const read = async () =>
        new Uint8Array(
          await blob.arrayBuffer().catch((error: Error) => {
            const what = 'cannot read this file; it may have been changed or moved since it was chosen';
            throw new IdatError('data.file.unreadable', `${name}/${path}: ${what}`, { cause: error });
          }),
        );
      return [path.normalize('NFC'), { bytes: blob.size, read }] as const;
    }),
  );

/** No file system's paths are much longer, and each folder on the way to each entry is kept. */
const MAX_DEPTH = 64;

function treeOf(source: string, given: readonly (readonly [string, Reader])[]): FileTree {
  const readers = new Map<string, Reader>();
  const folders = new Set<string>();
  const passedOver = new Map<string, Why>();
  for (const [path, reader] of given) {
    if (isLitter(path) && isHiddenImage(path)) passedOver.set(path, 'litter');
    if (path === '' || isLitter(path)) continue;
    if (path.split('/', MAX_DEPTH + 2).length > MAX_DEPTH + 1) {
      const what = `a file lies more than ${MAX_DEPTH} folders deep (${path.slice(0, 40)}…)`;
      throw new IdatError('data.zip.depth', `${source}: ${what}; leave it out`);
    }
    if (readers.has(path)) throw new IdatError('data.zip.duplicate', `${source}: holds ${path} twice; keep one`);
    addParents(path, folders);
    if (reader.link) passedOver.set(path, 'link');
    else readers.set(path, reader);
  }
  const read = async (path: string, maxBytes: number) => {
    const reader = readers.get(path);
    if (!reader) throw new IdatError('data.file.unreadable', `${source}: no file ${path}`);
    if (reader.bytes <= maxBytes) return reader.read();
    const mib = (n: number) => `${Math.ceil(n / 2 ** 20).toLocaleString('en')} MiB`;
    const what = `${mib(reader.bytes)} are more than the ${mib(maxBytes)} idat reads of one such file`;
    throw new IdatError('data.file.too-large', `${source}/${path}: ${what}`);
  };
  return {
    source,
    roots: [],
    files: new Set(readers.keys()),
    folders,
    passedOver,
    outside: new Set(),
    read,
    open: async (path) => {
      const bytes = await read(path, MAX_IMAGE_BYTES);
      return { bytes: bytes.length, slice: async (start, end) => Uint8Array.from(bytes.subarray(start, end)).buffer };
    },
    close: async () => {},
  };
}
