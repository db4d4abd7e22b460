/**
 * What a data set is read from: a folder or a zip, seen alike as files with relative paths.
 */

/** Lists (`train800.txt`, `classes.txt`) beyond this are no lists. */
export const MAX_LIST_BYTES = 64 * 2 ** 20;
/** An image file beyond this is refused before it is read: the guard against zip entries that inflate without end. */
export const MAX_IMAGE_BYTES = 256 * 2 ** 20;

export interface FileTree {
  /** The path the user gave, for messages. */
  source: string;
  /** Every usable file: relative path with forward slashes. Hidden files and system litter are left out. */
  files: ReadonlySet<string>;
  /** Every folder on the way to something, also those without files. */
  folders: ReadonlySet<string>;
  /** Paths that exist but may not be read, with the reason: links that leave the data set. */
  refused: ReadonlyMap<string, string>;
  /**
   * The bytes of one of `files`.
   * @throws IdatError when it is larger than `maxBytes`, cannot be read or is damaged
   */
  read(path: string, maxBytes: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Hidden files, and what macOS and Windows leave behind in folders and zips. */
export function isLitter(path: string): boolean {
  return path
    .split('/')
    .some((name) => name.startsWith('.') || name === '__MACOSX' || /^(thumbs\.db|desktop\.ini)$/i.test(name));
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
    files: new Set(below(tree.files)),
    folders: new Set(below(tree.folders)),
    refused: new Map(below(tree.refused.keys()).map((path) => [path, tree.refused.get(prefix + path)!])),
    read: (path, maxBytes) => tree.read(prefix + path, maxBytes),
    close: () => tree.close(),
  };
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
