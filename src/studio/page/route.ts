/** Where in the page one is, as the part of the address behind the #. */

export type Route =
  | { readonly view: 'runs' }
  | { readonly view: 'run'; readonly name: string }
  | { readonly view: 'compare'; readonly names: readonly string[] }
  /** All runs below a folder. */
  | { readonly view: 'sweep'; readonly folder: string }
  /** `from`: filled in as that run was made; `try`: with the bundled pictures. */
  | { readonly view: 'new'; readonly from: string | null; readonly bundled: boolean };

export function routeOf(hash: string): Route {
  const [, view = '', ...rest] = hash.replace(/^#/, '').split('/');
  const words = rest.map(decoded);
  switch (view) {
    case 'run':
      return words[0] ? { view, name: words[0] } : { view: 'runs' };
    case 'compare':
      return { view, names: words.filter((name) => name !== '') };
    case 'sweep':
      return words[0] ? { view, folder: words[0] } : { view: 'runs' };
    case 'new':
      return { view, from: words[0] === 'from' ? (words[1] ?? null) : null, bundled: words[0] === 'try' };
    default:
      return { view: 'runs' };
  }
}

function decoded(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch {
    return '';
  }
}

/** Goes to a view. */
export function go(view: 'runs' | 'run' | 'compare' | 'sweep' | 'new', words: readonly string[] = []): void {
  location.hash = `#/${[view === 'runs' ? '' : view, ...words.map(encodeURIComponent)].join('/')}`;
}
