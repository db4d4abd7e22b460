/** The page: three columns, what went wrong above them, what the model gets wrong below. */
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { App } from './app.js';
import { Classes } from './classes.js';
import { isolationSays } from './problems.js';
import { Results } from './results.js';
import { Train } from './train.js';
import { TryIt } from './try.js';

export function Page({ app }: { readonly app: App }): JSX.Element {
  const [state, setState] = useState(app.state);
  const [over, setOver] = useState(false);
  useEffect(() => {
    // what has changed before this ran was told to nobody
    setState(app.state);
    return app.onChange(() => setState(app.state));
  }, []);
  useEffect(() => {
    const files = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
    const drag = (event: DragEvent) => {
      if (!files(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const leave = (event: DragEvent) => event.relatedTarget === null && setOver(false);
    const drop = (event: DragEvent) => {
      setOver(false);
      if (event.defaultPrevented || !event.dataTransfer || !files(event)) return;
      event.preventDefault();
      if (app.state.ready) void app.pictures.takeDrop(event.dataTransfer, null);
    };
    const listeners = [
      ['dragover', drag],
      ['dragleave', leave],
      ['drop', drop],
    ] as const;
    for (const [kind, listener] of listeners) addEventListener(kind, listener as EventListener);
    return () => {
      for (const [kind, listener] of listeners) removeEventListener(kind, listener as EventListener);
    };
  }, []);
  const { training } = state;
  useEffect(() => {
    document.title =
      training && training.epochs > 0 ? `Training, pass ${training.epoch + 1} of ${training.epochs}` : 'idat';
  }, [training?.epoch, training?.epochs]);
  return (
    <div class={over ? 'whole over' : 'whole'}>
      <header class="top">
        <p class="kind">idat</p>
        <h1>Teach a model to tell your pictures apart</h1>
        <p class="lede">
          Everything happens in this tab: no picture leaves it, and once loaded it works without a network.
        </p>
      </header>
      <div role="alert" class="notices">
        {state.notices.map(({ id, text, kind }) => (
          <p key={id} class={`notice ${kind}`}>
            <span>{text}</span>
            <button type="button" class="icon" aria-label="Dismiss" onClick={() => app.dismiss(id)}>
              ×
            </button>
          </p>
        ))}
      </div>
      <main>
        {state.elsewhere ? (
          <p class="elsewhere" role="status">
            Your pictures are open in another tab, which would be overwritten from here: close it, and they open here.
          </p>
        ) : (
          <>
            <div class="columns">
              <Classes app={app} state={state} />
              <Train app={app} state={state} />
              <TryIt app={app} state={state} />
            </div>
            <Results state={state} />
          </>
        )}
      </main>
      <footer>
        {isolationSays()} Model: vit_micro, pre-trained on CIFAR-10, with adapters (iDAT, arXiv:2403.15750).{' '}
        <a href="LICENSES.txt">Licences</a>
      </footer>
    </div>
  );
}
