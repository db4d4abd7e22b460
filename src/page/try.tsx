/** The third column: the camera or a picture, a bar for each class, and taking the model away. */
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { App } from './app.js';
import { Attended } from './attended.js';
import { Camera, square } from './camera.js';
import { FileButton } from './classes.js';
import { colourOf } from './colours.js';
import { cameAsZip, folderOf } from './project.js';
import type { Seen } from './run-protocol.js';
import type { State } from './state.js';
import { isStrange } from './strange.js';
import { thumbnail } from './thumbnails.js';

interface Props {
  readonly app: App;
  readonly state: State;
}

export function TryIt({ app, state }: Props): JSX.Element {
  const [camera, setCamera] = useState(false);
  const [picture, setPicture] = useState<Blob | null>(null);
  const [seen, setSeen] = useState<Seen | null>(null);
  const { model, project } = state;
  const open = model === 'open';
  useEffect(() => {
    setSeen(null);
    setPicture(null);
  }, [project.run?.name]);
  const show = async (blob: Blob) => {
    setCamera(false);
    setPicture(blob);
    setSeen(null);
    try {
      setSeen(await app.see(blob));
    } catch (error) {
      app.problem(error);
    }
  };
  return (
    <section
      class="column"
      aria-labelledby="try"
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        const file = open ? event.dataTransfer?.files[0] : undefined;
        if (!file?.type.startsWith('image/')) return;
        event.preventDefault();
        void show(file);
      }}
    >
      <h2 id="try">
        <i>3</i> Try it
      </h2>
      <p class="says">
        {open
          ? 'Hold something before the camera, or drop a picture here.'
          : 'Train first; then try it here, with the camera or a picture.'}
      </p>
      <div class={open ? 'card' : 'card waiting'}>
        {model === 'opening' && <p role="status">Opening the model …</p>}
        {open && (
          <>
            <div class="row">
              <button
                type="button"
                class={camera ? '' : 'strong'}
                aria-pressed={camera}
                onClick={() => {
                  setSeen(null);
                  setPicture(null);
                  setCamera(!camera);
                }}
              >
                {camera ? 'Camera off' : 'Camera'}
              </button>
              <FileButton label="A picture" accept="image/*" onFiles={([file]) => void show(file!)} />
            </div>
            {camera && <Live app={app} onSeen={setSeen} onClose={() => setCamera(false)} />}
            {picture && !camera && (
              <div class="tried">
                <img src={thumbnail(picture)} alt="What was tried" />
                {seen && <Attended picture={picture} seen={seen} label="Where the model looked" />}
              </div>
            )}
            <Bars state={state} seen={seen} />
            <p class="says strange" role="status">
              {seen && isStrange(seen, state.seen)
                ? 'Perhaps none of these: stranger than the pictures it was tested on.'
                : ''}
            </p>
          </>
        )}
        {!open && model !== 'opening' && <Bars state={state} seen={null} />}
      </div>
      {project.run?.result && <Keep app={app} state={state} />}
      <div class="row">
        <FileButton
          label="Open a kept model (.zip)"
          accept=".zip"
          disabled={state.training !== null || state.taking || !state.ready}
          onFiles={([file]) => void app.takeRun(file!)}
        />
        {project.run && cameAsZip(project.run) && project.run.before && (
          <button type="button" disabled={state.training !== null || state.taking} onClick={() => void app.discard()}>
            {project.run.before.result ? 'Back to the model before' : 'Back to the training before'}
          </button>
        )}
      </div>
    </section>
  );
}

/** What the camera sees, again and again, each time when the answer before has come. */
function Live({ app, onSeen, onClose }: { app: App; onSeen: (seen: Seen) => void; onClose: () => void }): JSX.Element {
  const video = useRef<HTMLVideoElement | null>(null);
  useEffect(() => {
    let on = true;
    const look = async () => {
      while (on) {
        const canvas = video.current && square(video.current);
        if (canvas) {
          const { width, height, data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
          try {
            const seen = await app.see({ width, height, data });
            if (on) onSeen(seen);
          } catch (error) {
            if (on) app.problem(error);
            return;
          }
        }
        await new Promise((resolve) => setTimeout(resolve, canvas ? 30 : 100));
      }
    };
    void look();
    return () => {
      on = false;
    };
  }, []);
  return (
    <Camera
      label="What the camera sees"
      onReady={(view) => {
        video.current = view;
      }}
      onClose={(problem) => {
        if (problem) app.notice(problem);
        onClose();
      }}
    />
  );
}

function Bars({ state: { project }, seen }: { readonly state: State; readonly seen: Seen | null }): JSX.Element {
  const classes = project.run?.classes.length ? project.run.classes : project.classes.map(({ name }) => folderOf(name));
  const best = seen ? seen.probabilities.indexOf(Math.max(...seen.probabilities)) : -1;
  return (
    <ul class="bars" aria-label="How sure the model is of each class">
      {classes.map((name, i) => {
        const share = seen?.probabilities[i] ?? 0;
        const at = project.classes.findIndex((one) => folderOf(one.name) === name);
        return (
          <li key={name} class={i === best ? 'best' : ''}>
            <span class="label">{name}</span>
            <span class="track">
              <span style={{ width: `${100 * share}%`, background: colourOf(at < 0 ? i : at) }} />
            </span>
            <output aria-live="off">{seen ? `${Math.round(100 * share)} %` : '–'}</output>
          </li>
        );
      })}
    </ul>
  );
}

function Keep({ app, state: { saving, model } }: Props): JSX.Element {
  return (
    <div class="card keep">
      <h3>Keep it</h3>
      <div class="row">
        <button type="button" disabled={saving !== null || model !== 'open'} onClick={() => void app.save('onnx')}>
          {saving === 'onnx' ? 'Writing …' : 'Model (.onnx)'}
        </button>
        <button type="button" disabled={saving !== null} onClick={() => void app.save('run')}>
          {saving === 'run' ? 'Packing …' : 'Adapter and run (.zip)'}
        </button>
      </div>
      <p class="says">
        The model runs in any ONNX Runtime: it takes pixels of any size. The zip holds the adapter; unpacked, it goes on
        in a terminal with <code>idat predict</code>, <code>idat resume</code> and <code>idat export</code>.
      </p>
    </div>
  );
}
