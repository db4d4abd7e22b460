/** Finds out what a tree of files holds and hands it to the reader of that layout. */
import { IdatError, printable } from '../errors.js';
import type { SplitOptions } from './complete-splits.js';
import type { Layout } from './dataset.js';
import { type FileTree, isImagePath, subtree, topFolders } from './file-tree.js';
import { readImageFolder } from './image-folder.js';
import { readTables, tablesIn } from './table-layout.js';
import { isVtab, LIST_NAMES, readVtab } from './vtab.js';

/** Reads a layout that only some platforms know; null where it is another. */
export type ReadLayout = (tree: FileTree, options: SplitOptions) => Promise<Layout | null>;

/**
 * Of this tree, or of its only folder: packing a data set often puts it inside the zip as the only thing at the top.
 * @throws IdatError `data.…`
 */
export async function readLayout(tree: FileTree, options: SplitOptions, other?: ReadLayout): Promise<Layout> {
  if (isVtab(tree)) return readVtab(tree, options);
  const tables = await readTables(tree, options);
  if (tables) return tables;
  const found = await other?.(tree, options);
  if (found) return found;
  const inner = onlyFolder(tree);
  if (inner) return readLayout(inner, options, other);
  try {
    return withStrayLists(tree, readImageFolder(tree, options));
  } catch (error) {
    const [table] = tablesIn(tree);
    if (table === undefined || !(error instanceof IdatError) || error.code !== 'data.no-classes') throw error;
    const what = 'no column of it names images of this folder, by path, name or name without extension';
    throw new IdatError('data.table.unmatched', `${tree.source}/${table}: ${what}`, { cause: error });
  }
}

/** A list that has no companions says nothing; that it was not read should be known. */
function withStrayLists(tree: FileTree, layout: Layout): Layout {
  const lists = LIST_NAMES.filter((name) => tree.files.has(name));
  const tables = tablesIn(tree).map(printable);
  const remarks = [
    lists.length > 0 && `${lists.join(', ')}; a list is read where train.txt has test.txt or val.txt beside it`,
    tables.length > 0 && `${tables.join(', ')}; the folders say what the classes are`,
  ].filter((remark) => remark !== false);
  return { ...layout, note: [layout.note, ...remarks.map((remark) => `Not read: ${remark}.`)].join(' ') };
}

/** @returns null where the tree itself is the data set */
function onlyFolder(tree: FileTree): FileTree | null {
  const folders = topFolders(tree);
  const below = folders.map((folder) => subtree(tree, folder));
  const vtabs = folders.filter((_, i) => isVtab(below[i]!));
  if (folders.length === 1) {
    const inner = below[0]!;
    const hasImages = [...inner.files].some((file) => isImagePath(file) && !file.includes('/'));
    const holdsMore = topFolders(inner).length > 0 || tablesIn(inner).length > 0;
    return vtabs.length === 1 || (holdsMore && (!hasImages || tablesIn(inner).length > 0)) ? inner : null;
  }
  if (vtabs.length > 0) {
    throw new IdatError(
      'data.collection',
      `${tree.source}: holds ${vtabs.length} data sets (${listed(vtabs)}); give one of them, such as ${tree.source}/${vtabs[0]}`,
    );
  }
  return null;
}

/** Some names of many. */
export const listed = (names: string[]) =>
  names.length === 0 ? 'none' : names.slice(0, 8).join(', ') + (names.length > 8 ? ', …' : '');
