/** The page of the studio: its head, and the view that the address names. */
import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { CompareView, SweepView } from './compare-view.js';
import { NewView } from './new-view.js';
import { Dialog } from './parts.js';
import { QueueView } from './queue-view.js';
import { go, type Route, routeOf } from './route.js';
import { RunView } from './run-view.js';
import { RunsView } from './runs-view.js';
import { store, useStore } from './store.js';

const meta = (name: string): string => document.querySelector(`meta[name="${name}"]`)?.getAttribute('content') ?? '';

const TITLES: Readonly<Record<Route['view'], (route: Route) => string>> = {
  runs: () => 'Runs',
  run: (route) => (route.view === 'run' ? route.name : ''),
  compare: () => 'Compare',
  sweep: (route) => (route.view === 'sweep' ? route.folder : ''),
  queue: () => 'Queue',
  new: () => 'New run',
};

function useRoute(): Route {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const onHash = () => {
      setRoute(routeOf(location.hash));
      window.scrollTo(0, 0);
    };
    window.addEventListener('hashchange', onHash);
    return () => window.removeEventListener('hashchange', onHash);
  }, []);
  return route;
}

function Studio() {
  const route = useRoute();
  const [help, setHelp] = useState(false);
  const watched = route.view === 'run' ? route.name : null;
  useEffect(() => store.watch(watched), [watched]);
  useEffect(() => {
    document.title = `${TITLES[route.view](route)} · idat studio`;
  }, [route]);
  useKeys(() => setHelp(true));
  return (
    <>
      <Bar view={route.view} />
      <main>
        {route.view === 'runs' && <RunsView />}
        {route.view === 'run' && <RunView key={route.name} name={route.name} />}
        {route.view === 'compare' && <CompareView names={route.names} />}
        {route.view === 'sweep' && <SweepView key={route.folder} folder={route.folder} />}
        {route.view === 'queue' && <QueueView />}
        {route.view === 'new' && <NewView key={`${route.from} ${route.as}`} from={route.from} as={route.as} />}
      </main>
      <footer>
        idat {meta('idat-version')}. This page talks to this machine alone.{' '}
        <button type="button" class="quiet" onClick={() => setHelp(true)}>
          Keys
        </button>
      </footer>
      {help && <Keys onClose={() => setHelp(false)} />}
      <Toasts />
    </>
  );
}

function Bar({ view }: { view: Route['view'] }) {
  const { connection } = useStore();
  const link = (to: Route['view'], href: string, title: string) => (
    <a href={href} {...(view === to && { 'aria-current': 'page' as const })}>
      {title}
    </a>
  );
  return (
    <header class="bar">
      <div class="bar-in">
        <a class="mark" href="#/">
          <b>idat</b> studio
        </a>
        <span class="where" title={meta('idat-folder')}>
          {meta('idat-folder')}
        </span>
        <nav aria-label="Views">
          {link('runs', '#/', 'Runs')}
          {link('compare', '#/compare', 'Compare')}
          {meta('idat-queue') !== '' && link('queue', '#/queue', 'Queue')}
          {link('new', '#/new', 'New run')}
        </nav>
      </div>
      {connection === 'waiting' && (
        <div class="lost" role="status">
          The studio does not answer; what is shown may be out of date. Trying again…
        </div>
      )}
      {connection === 'lost' && (
        <div class="lost" role="alert">
          The studio was started anew, or has ended: open the address that it printed.
        </div>
      )}
    </header>
  );
}

function Toasts() {
  const { toasts } = useStore();
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.map(({ id, text, bad, action }) => (
        <div key={id} class={`toast${bad ? ' bad' : ''}`}>
          <span>{text}</span>
          {action && (
            <button
              type="button"
              class="quiet"
              onClick={() => {
                action.run();
                store.unsay(id);
              }}
            >
              {action.label}
            </button>
          )}
          <button type="button" class="quiet" aria-label="Dismiss" onClick={() => store.unsay(id)}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}

const KEYS: readonly (readonly [keys: readonly string[], says: string])[] = [
  [['/'], 'find runs'],
  [['j', 'k'], 'down and up the list'],
  [['Enter'], 'open the run'],
  [['x'], 'choose the run, or not'],
  [['c'], 'compare those that are chosen'],
  [['n'], 'a new run'],
  [['g'], 'back to all runs'],
  [['?'], 'these keys'],
];

const Keys = ({ onClose }: { onClose: () => void }) => (
  <Dialog title="Keys" onClose={onClose}>
    <div class="keys">
      {KEYS.map(([keys, says]) => (
        <>
          <span>
            {keys.map((key) => (
              <kbd key={key}>{key}</kbd>
            ))}
          </span>
          <span>{says}</span>
        </>
      ))}
    </div>
  </Dialog>
);

/** Those that hold everywhere; lists have their own (runs-view.tsx). */
function useKeys(help: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        target.closest('input:not([type=checkbox]),select,textarea,dialog')
      )
        return;
      if (event.key === '/') {
        const find = () => document.getElementById('search')?.focus();
        // what is typed next belongs there already
        if (routeOf(location.hash).view === 'runs') find();
        else {
          go('runs');
          setTimeout(find, 50);
        }
      } else if (event.key === 'n') go('new');
      else if (event.key === 'g') go('runs');
      else if (event.key === '?') help();
      else return;
      event.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
}

window.addEventListener('pagehide', () => store.close());
// one that the browser had kept aside has no stream any more
window.addEventListener('pageshow', ({ persisted }) => persisted && location.reload());
render(<Studio />, document.getElementById('studio')!);
