/** Finding the image a table means: by its path, its name, or its name without what says that it is an image. */
import { type FileTree, isImagePath } from './file-tree.js';

export interface ImageIndex {
  /**
   * @param value a path, a name or an id as a table has it
   * @param folders where to look first
   * @returns the path of the only image that fits, or null
   */
  find(value: string, folders: readonly string[]): string | null;
  /** Images there are. */
  size: number;
}

export function indexImages(tree: FileTree): ImageIndex {
  const images = [...tree.files].filter(isImagePath);
  const exact = new Set(images);
  const [byStem, byName, byNameStem] = [
    unique(images, withoutExtension),
    unique(images, nameOf),
    unique(images, (path) => withoutExtension(nameOf(path))),
  ];
  const at = (path: string) => (exact.has(path) ? path : (byStem.get(path) ?? null));
  return {
    size: images.length,
    find: (value, folders) => {
      const path = value
        .replaceAll('\\', '/')
        .replace(/^(\.?\/)+/, '')
        .normalize('NFC');
      if (path === '') return null;
      const rooted = tree.roots.find((root) => value.startsWith(`${root}/`));
      if (rooted !== undefined) return at(value.slice(rooted.length + 1).normalize('NFC'));
      for (const folder of ['', ...folders.map((name) => `${name}/`)]) {
        const found = at(folder + path);
        if (found !== null) return found;
      }
      const name = nameOf(path);
      return byName.get(name) ?? byNameStem.get(name) ?? null;
    },
  };
}

const nameOf = (path: string) => path.slice(path.lastIndexOf('/') + 1);
const withoutExtension = (path: string) => path.replace(/\.[^./]*$/, '');

/** What several paths share points at none of them. */
function unique(paths: readonly string[], key: (path: string) => string): Map<string, string | null> {
  const found = new Map<string, string | null>();
  for (const path of paths) found.set(key(path), found.has(key(path)) ? null : path);
  return found;
}
