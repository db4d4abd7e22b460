/** Where in the page one is, as the part of the address behind the #. */

export type Route =
  | { readonly view: 'runs' }
  | { readonly view: 'run'; readonly name: string }
  | { readonly view: 'compare'; readonly names: readonly string[] }
  /** All runs below a folder. */
  | { readonly view: 'sweep'; readonly folder: string }
  | { readonly view: 'queue' }
  | { readonly view: 'new'; readonly from: string | null; readonly as: FormStart };

/** With what a form begins: nothing, the bundled pictures, or what was last asked for. */
export type FormStart = 'empty' | 'try' | 'again';

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
    case 'queue':
      return { view };
    case 'new':
      return { view, from: words[0] === 'from' ? (words[1] ?? null) : null, as: startOf(words[0]) };
    default:
      return { view: 'runs' };
  }
}

const startOf = (word: string | undefined): FormStart => (word === 'try' || word === 'again' ? word : 'empty');

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
