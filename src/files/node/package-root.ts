/** Files of the package itself, which lie at the same place beside sources and beside what is built from them. */

/** @param path below the package's root, such as `assets/models` */
export const packageFile = (path: string): URL => new URL(`../../../${path}`, import.meta.url);
