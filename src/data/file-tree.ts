/**
 * What a data set is read from: a folder or a zip, seen alike as files with relative paths.
 */

import { IdatError } from '../errors.js';

/** Lists (`train800.txt`, `classes.txt`) beyond this are no lists. */
export const MAX_LIST_BYTES = 64 * 2 ** 20;
/** An image file beyond this is refused before it is read: the guard against zip entries that inflate without end. */
export const MAX_IMAGE_BYTES = 256 * 2 ** 20;

/**
 * Why something in a data set is passed over: `litter` of systems and what is hidden; a `run` directory of idat; a link that
 * is `dangling`, leads back (`loop`), or out to what is no image (`outside`); a `link` in a zip; a file of an`other` kind;
 * what is no file (`special`); a folder that may not be read (`forbidden`); a name that a second file has (`twin`).
 */
export type Why =
  | 'litter'
  | 'run'
  | 'dangling'
  | 'loop'
  | 'outside'
  | 'link'
  | 'other'
  | 'special'
  | 'forbidden'
  | 'twin';

export const REASONS: Readonly<Record<Why, string>> = {
  litter: 'is hidden, or what a system leaves behind',
  run: 'is a run directory of idat',
  dangling: 'is a link to nothing',
  loop: 'is a link to a folder it lies in',
  outside: 'is a link that leaves the data set, which is followed to images only',
  link: 'is a symbolic link, which idat does not follow in a zip',
  other: 'is a file of another kind',
  special: 'is no file',
  forbidden: 'may not be read; check its permissions',
  twin: 'has a name that cannot be told from another file’s',
};

export interface FileTree {
  /** The path the user gave, for messages. */
  source: string;
  /** Absolute paths at which the folder is found; none for a zip. */
  roots: readonly string[];
  /** Every usable file: relative path with forward slashes, composed (NFC). */
  files: ReadonlySet<string>;
  /** Every folder on the way to something, also those without files. */
  folders: ReadonlySet<string>;
  /** What is there and not used, by path. */
  passedOver: ReadonlyMap<string, Why>;
  /** Those of `files` that lie elsewhere, behind links. */
  outside: ReadonlySet<string>;
  /**
   * The bytes of one of `files`.
   * @throws IdatError when it is larger than `maxBytes`, cannot be read or is damaged
   */
  read(path: string, maxBytes: number): Promise<Uint8Array>;
  /**
   * One of `files`, to be read in parts.
   * @throws IdatError as `read`
   */
  open(path: string): Promise<RandomAccess>;
  close(): Promise<void>;
}

export interface RandomAccess {
  bytes: number;
  /** @param end default: the end of the file */
  slice(start: number, end?: number): Promise<ArrayBuffer>;
}

const LITTER =
  /^(\..*|__macosx|thumbs\.db|ehthumbs\.db|desktop\.ini|@eadir|@recycle|@recently-snapshot|#recycle|#snapshot|~snapshot|lost\+found|\$recycle\.bin|recycler|system volume information)$/i;

/** Hidden names, and what macOS, Windows, Jupyter and network storage leave behind in folders and zips. */
export function isLitter(path: string): boolean {
  return path.split('/').some((name) => LITTER.test(name));
}

/** Whether something among litter is worth a word: a picture, but not the shadow macOS keeps of one (`._a.jpg`). */
export function isHiddenImage(path: string): boolean {
  return isImagePath(path) && !/(^|\/)\._[^/]*$/.test(path);
}

/** Whether a name is one of a picture that may be decoded; its bytes tell whether it is. */
export function isImagePath(path: string): boolean {
  return /\.(jpe?g|jpe|jfif|jif|pjpe?g|png|apng|webp|gif|tiff?|avif|bmp|dib|p[pgbn]m)$/i.test(path);
}

/** What messages say is expected. */
export const IMAGE_EXTENSIONS = '.jpg, .png, .webp, .gif, .tif, .avif, .bmp or .ppm';

/** The same tree seen from one of its folders: paths relative to it, everything outside it invisible. */
export function subtree(tree: FileTree, folder: string): FileTree {
  if (folder === '') return tree;
  const prefix = `${folder}/`;
  const below = (paths: Iterable<string>) =>
    [...paths].filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length));
  return {
    source: `${tree.source}/${folder}`,
    roots: tree.roots.map((root) => `${root}/${folder}`),
    files: new Set(below(tree.files)),
    folders: new Set(below(tree.folders)),
    passedOver: new Map(below(tree.passedOver.keys()).map((path) => [path, tree.passedOver.get(prefix + path)!])),
    outside: new Set(below(tree.outside)),
    read: (path, maxBytes) => tree.read(prefix + path, maxBytes),
    open: (path) => tree.open(prefix + path),
    close: () => tree.close(),
  };
}

/** Whether two or more folders at the top hold images: the layout that needs no list. */
export function hasClassFolders(tree: FileTree): boolean {
  const tops = new Set<string>();
  for (const path of tree.files)
    if (path.includes('/') && isImagePath(path)) tops.add(path.slice(0, path.indexOf('/')));
  return tops.size > 1;
}

/**
 * A list's text.
 * @param source what errors call it
 * @throws IdatError `data.list.encoding` for what is not UTF-8
 */
export function decodeText(bytes: Uint8Array, source: string): string {
  const [first, second] = bytes;
  const marked = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
  if (marked || (bytes.length > 1 && (first === 0) !== (second === 0))) {
    throw new IdatError('data.list.encoding', `${source}: is UTF-16; save it as UTF-8`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new IdatError('data.list.encoding', `${source}: is not UTF-8; save it as UTF-8`, { cause: error });
  }
}

/** Names of the folders at the top, sorted by UTF-16 units so that the order is the same in every locale. */
export function topFolders(tree: FileTree): string[] {
  return [...tree.folders].filter((path) => !path.includes('/')).sort();
}

/** Adds each folder on the way to `path`. */
export function addParents(path: string, folders: Set<string>): void {
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
    const folder = path.slice(0, end);
    if (folders.has(folder)) return;
    folders.add(folder);
  }
}
