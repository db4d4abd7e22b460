/** The pictures of an archive, each by its class: the folder that holds it, or what a list of the archive says. */
import { type FileTree, isImagePath, isLitter, MAX_IMAGE_BYTES, subtree, topFolders } from '../data/file-tree.js';
import { hasLists, isVtab, readVtab } from '../data/vtab.js';
import { filesTree, type NamedFile, zipTree } from '../data/web/open.js';
import { IdatError } from '../errors.js';
import { readZip, type ZipEntry } from '../files/web/zip.js';
import type { Unpacked, UnpackedFile } from './run-protocol.js';

/** What a tab holds of pictures, before they are made smaller. */
const MAX_BYTES = 2 ** 31;

/** @throws IdatError `data.zip.broken`, `data.zip.too-large`, and as `readVtab` */
export async function unpacked(zip: Blob): Promise<Unpacked> {
  const entries = await readZip(zip).catch(broken);
  const pictures = entries.filter(({ name }) => !isLitter(name) && isImagePath(name));
  const usable = pictures.filter(({ bytes }) => bytes <= MAX_IMAGE_BYTES);
  const bytes = usable.reduce((sum, one) => sum + one.bytes, 0);
  if (bytes > MAX_BYTES) {
    const what = `its pictures have ${gigabytes(bytes)} GB unpacked, and a tab takes ${gigabytes(MAX_BYTES)}`;
    throw new IdatError('data.zip.too-large', `${what}; divide it into several`);
  }
  const has = hasLists(entries.map(({ name }) => name));
  const files = (has ? await listed(await zipTree(zip, 'the zip')) : null) ?? (await byFolder(usable));
  const large = pictures.length - usable.length;
  const were = large === 1 ? 'picture was' : 'pictures were';
  const problem = `${large} ${were} passed over, of more than ${gigabytes(MAX_IMAGE_BYTES)} GB each.`;
  return { files, problems: large === 0 ? [] : [problem] };
}

async function byFolder(entries: readonly ZipEntry[]): Promise<UnpackedFile[]> {
  const files: UnpackedFile[] = [];
  for (const { name, read } of entries) {
    files.push(file(name, name.split('/').at(-2) ?? '', await read().catch(broken)));
  }
  return files;
}

/**
 * The pictures of a folder by what its lists say, with all paths below the same place; null where no lists say what is what.
 * @throws IdatError as `readVtab`
 */
export const listedIn = (files: readonly NamedFile[]): Promise<UnpackedFile[] | null> =>
  listed(filesTree(files, 'the folder'));

/** Null where no lists say what is what. */
async function listed(whole: FileTree): Promise<UnpackedFile[] | null> {
  const [inner, ...others] = topFolders(whole);
  const tree = [whole, ...(inner && others.length === 0 ? [subtree(whole, inner)] : [])].find(isVtab);
  if (!tree) return null;
  const { classes, trainval, test } = await readVtab(tree, { seed: 0 });
  const files: UnpackedFile[] = [];
  for (const { name, label, read } of [...trainval, ...test]) {
    files.push(file(name, classes[label]!, (await read()) as Uint8Array));
  }
  return files;
}

const file = (path: string, folder: string, bytes: Uint8Array): UnpackedFile => ({
  folder,
  name: path.split('/').at(-1)!,
  blob: new Blob([bytes as Uint8Array<ArrayBuffer>]),
});

const broken = (error: Error): never => {
  const what = `not a usable zip (${error.message}); pack or fetch it again`;
  throw new IdatError('data.zip.broken', what, { cause: error });
};

const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(1);
