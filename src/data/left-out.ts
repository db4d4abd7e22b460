/** What lies in a data set and is not used, in one sentence: nothing vanishes without a word. */
import { printable } from '../errors.js';
import { type FileTree, isImagePath, type Why } from './file-tree.js';

/**
 * @param stray images that are of no class
 * @param top whether files of other kinds count at the top too, where a data set may have a README
 * @returns `Left out: …`, or an empty text where nothing was
 */
export function leftOut(tree: FileTree, stray: readonly string[] = [], top = false): string {
  const passed = (...whys: Why[]) => [...tree.passedOver].filter(([, why]) => whys.includes(why)).map(([path]) => path);
  const images = (paths: string[]) => paths.filter(isImagePath);
  // Pictures inside a run directory or among litter count; the folders are named.
  const litter = images(passed('litter'));
  const runs = passed('run').filter((path) => !isImagePath(path));
  const parts = [
    kinds([...tree.files, ...passed('outside')].filter((path) => (top || path.includes('/')) && !isImagePath(path))),
    counted(stray, 'image outside the class folders', 'images outside the class folders'),
    counted(litter, 'image that is hidden or left by a system', 'images that are hidden or left by a system', folderOf),
    counted(runs, 'run directory of idat', 'run directories of idat'),
    counted(passed('dangling'), 'link to nothing', 'links to nothing'),
    counted(passed('link'), 'link, which idat does not follow in a zip', 'links, which idat does not follow in a zip'),
    counted(images(passed('special')), 'name that is no file’s', 'names that are no files’'),
    counted(passed('forbidden'), 'folder that may not be read', 'folders that may not be read'),
    counted(passed('twin'), 'file of a name that another has', 'files of names that others have'),
  ].filter((part) => part !== '');
  return parts.length === 0 ? '' : `Left out: ${parts.join('; ')}.`;
}

/** How many images lie behind links, in a sentence; empty where none do. */
export function elsewhere(tree: FileTree): string {
  const count = tree.outside.size;
  return count === 0 ? '' : `${count} ${count === 1 ? 'image lies' : 'images lie'} outside the folder, behind links.`;
}

const SHOWN = 4;

/** Files that no decoder reads, by extension, the most frequent first. */
function kinds(paths: readonly string[]): string {
  if (paths.length === 0) return '';
  const counts = new Map<string, number>();
  for (const path of paths) {
    const extension = /[^/.](\.[^/.]{1,12})$/.exec(path)?.[1]?.toLowerCase() ?? 'no extension';
    counts.set(extension, (counts.get(extension) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  const shown = sorted.slice(0, SHOWN).map(([extension, n]) => `${n} ${printable(extension)}`);
  if (sorted.length > SHOWN) shown.push('…');
  const list = sorted.length === 1 ? printable(sorted[0]![0]) : shown.join(', ');
  return `${paths.length} ${paths.length === 1 ? 'file that is no image' : 'files that are no images'} idat reads (${list})`;
}

function counted(paths: readonly string[], one: string, many: string, show = (path: string) => path): string {
  if (paths.length === 0) return '';
  const [first] = paths.map(show).sort();
  return `${paths.length} ${paths.length === 1 ? `${one} (` : `${many} (such as `}${printable(first!)})`;
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || path;
