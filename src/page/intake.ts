/** Pictures coming in: from folders, archives and files to what is kept, and where they belong. */
import { imageFormat } from '../data/image-format.js';
import { jpegFacts } from '../data/jpeg-header.js';
import { turnOfPng } from '../data/png.js';
import { hasLists } from '../data/vtab.js';
import type { NamedFile } from '../data/web/open.js';
import { sha256 } from '../files/sha256.js';
import type { Picture } from './project.js';
import type { Unpacked, UnpackedFile } from './run-protocol.js';

/** Files up to this are kept as they are; larger ones are made smaller, so that a hundred photographs fit. */
const KEPT_BYTES = 500_000;
/** What idat reads as this browser does; the rest is written anew. */
const KEPT_TYPES: Readonly<Record<string, (bytes: Uint8Array) => boolean>> = {
  'image/jpeg': (bytes) => {
    const facts = imageFormat(bytes) === 'jpeg' ? jpegFacts(bytes) : null;
    return facts?.ends === true && facts.components !== 4;
  },
  'image/png': (bytes) => imageFormat(bytes) === 'png' && turnOfPng(bytes) <= 1,
};
const LONGER_SIDE = 640;
const QUALITY = 0.92;

const isPicture = (name: string): boolean => /\.(jpe?g|png|webp|gif|avif|bmp|jfif)$/i.test(name);
const isZip = ({ name, type }: File): boolean => /\.zip$/i.test(name) || type === 'application/zip';

/** What was dropped or chosen, by the folder that directly holds it. */
export interface Incoming {
  readonly folder: string;
  readonly name: string;
  readonly blob: Blob;
}

export interface Gathered {
  readonly files: Incoming[];
  /** Sentences about what could not be taken. */
  readonly problems: string[];
}

/** Files that were chosen in a dialogue, a folder's among them. */
export async function fromFiles(files: readonly File[], unpack: Unpack): Promise<Gathered> {
  return gather(
    files.map((file) => ({ file, path: file.webkitRelativePath || file.name })),
    unpack,
  );
}

/** What a Worker does for the page, which stays free meanwhile. */
export interface Unpack {
  unpack(zip: Blob): Promise<Unpacked>;
  /** By what lists say; null where they say nothing. */
  listed(files: readonly NamedFile[]): Promise<readonly UnpackedFile[] | null>;
}

/** A file, and where it lies below what was dropped or chosen. */
interface Found {
  readonly file: File;
  readonly path: string;
}

/** What was dropped, with all that lies in its folders. */
export async function fromDrop(transfer: DataTransfer, unpack: Unpack): Promise<Gathered> {
  // entries are gone once the event is over: they are asked for before anything is waited for
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  const loose = [...transfer.files];
  if (entries.every((entry) => entry === null)) return fromFiles(loose, unpack);
  const found: Found[] = [];
  for (const entry of entries) if (entry) await walk(entry, '', found);
  return gather(found, unpack);
}

async function walk(entry: FileSystemEntry, below: string, found: Found[]): Promise<void> {
  if (entry.name.startsWith('.') || entry.name === '__MACOSX') return;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    found.push({ file, path: `${below}${entry.name}` });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // a reader gives a hundred at a time
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const one of some) await walk(one, `${below}${entry.name}/`, found);
  }
}

async function gather(found: readonly Found[], { unpack, listed }: Unpack): Promise<Gathered> {
  const files: Incoming[] = [];
  const problems: string[] = [];
  if (hasLists(found.map(({ path }) => path))) {
    const loose = found.filter(({ file }) => !isZip(file));
    try {
      const said = await listed(loose.map(({ file, path }) => ({ path, blob: file })));
      if (said) {
        const archives = await gather(
          found.filter(({ file }) => isZip(file)),
          { unpack, listed },
        );
        return { files: [...said, ...archives.files], problems: archives.problems };
      }
    } catch (error) {
      return { files: [], problems: [`${(error as Error).message}.`] };
    }
  }
  let others = 0;
  for (const { file, path } of found) {
    const folder = path.split('/').at(-2) ?? '';
    if (isZip(file)) {
      try {
        const unpacked = await unpack(file);
        problems.push(...unpacked.problems.map((one) => `${file.name}: ${one}`));
        if (unpacked.files.length === 0) problems.push(`${file.name} holds no pictures.`);
        const own = file.name.replace(/\.zip$/i, '');
        files.push(...unpacked.files.map((one) => ({ ...one, folder: one.folder || own })));
      } catch (error) {
        problems.push(`${file.name}: ${(error as Error).message}.`);
      }
    } else if (isPicture(file.name) || file.type.startsWith('image/'))
      files.push({ folder, name: file.name, blob: file });
    else others++;
  }
  if (others > 0)
    problems.push(
      `${others} ${others === 1 ? 'file is no picture and was' : 'files are no pictures and were'} passed over.`,
    );
  return { files, problems };
}

/** @returns the picture as it is kept; null where this browser cannot read it */
export type Prepare = (
  picture: Pick<Incoming, 'name' | 'blob'>,
  classId: string,
  recording?: string | null,
) => Promise<Picture | null>;

export const prepared: Prepare = async ({ name, blob }, classId, recording = null) => {
  const kept = await fitting(blob);
  if (!kept) return null;
  const id = await sha256(`${classId} ${await sha256(new Uint8Array(await kept.arrayBuffer()))}`);
  return { id, classId, name, recording, blob: kept, added: Date.now() };
};

async function fitting(blob: Blob): Promise<Blob | null> {
  const bitmap = await createImageBitmap(blob).catch(() => null);
  if (!bitmap) return null;
  try {
    if (blob.size <= KEPT_BYTES) {
      const bytes = new Uint8Array(await blob.arrayBuffer());
      const [type] = Object.entries(KEPT_TYPES).find(([, fits]) => fits(bytes)) ?? [];
      if (type !== undefined) return new Blob([bytes], { type });
    }
    const scale = Math.min(1, LONGER_SIDE / Math.max(bitmap.width, bitmap.height));
    const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
    const canvas = new OffscreenCanvas(width!, height!);
    const context = canvas.getContext('2d', { alpha: false })!;
    context.fillStyle = '#fff';
    context.fillRect(0, 0, width!, height!);
    context.imageSmoothingQuality = 'high';
    context.drawImage(bitmap, 0, 0, width!, height!);
    return await canvas.convertToBlob({ type: 'image/jpeg', quality: QUALITY });
  } finally {
    bitmap.close();
  }
}
