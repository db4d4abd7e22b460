/** The first column: a card for each class, with its pictures. */
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { App } from './app.js';
import { Camera, shot } from './camera.js';
import { colourOf } from './colours.js';
import type { Picture, PictureClass } from './project.js';
import type { State } from './state.js';
import { thumbnail } from './thumbnails.js';

/** Pictures shown of a class before all are asked for. */
const SHOWN = 48;
/** Between two shots of a recording, in milliseconds. */
const SHOT_EVERY = 120;
const SHOTS = 20;

export function Classes({ app, state }: { readonly app: App; readonly state: State }): JSX.Element {
  const { project, pictures, reading } = state;
  return (
    <section class="column" aria-labelledby="pictures">
      <h2 id="pictures">
        <i>1</i> Pictures
      </h2>
      <p class="says">Drop folders anywhere on this page: each becomes a class. Or add pictures to a class below.</p>
      {reading && (
        <p class="reading" role="status">
          Reading picture {reading.done + 1} of {reading.total} …
          <progress max={reading.total} value={reading.done} aria-label="Pictures read" />
        </p>
      )}
      {project.classes.map((one, i) => (
        <ClassCard
          key={one.id}
          app={app}
          one={one}
          colour={colourOf(i)}
          pictures={pictures.filter(({ classId }) => classId === one.id)}
          removable={project.classes.length > 1}
        />
      ))}
      <div class="row">
        <button type="button" class="dashed" onClick={() => app.pictures.addClass()}>
          + Add a class
        </button>
        <FileButton label="Folders of classes" folder onFiles={(files) => void app.pictures.takeFiles(files, null)} />
        {pictures.length === 0 && (
          <button type="button" class="plain" onClick={() => void app.pictures.takeExamples()}>
            Use example pictures
          </button>
        )}
      </div>
    </section>
  );
}

interface CardProps {
  readonly app: App;
  readonly one: PictureClass;
  readonly colour: string;
  readonly pictures: readonly Picture[];
  readonly removable: boolean;
}

function ClassCard({ app, one, colour, pictures, removable }: CardProps): JSX.Element {
  const [over, setOver] = useState(false);
  const [camera, setCamera] = useState(false);
  const [all, setAll] = useState(false);
  const shown = all ? pictures : pictures.slice(-SHOWN);
  const drop = (event: DragEvent) => {
    event.preventDefault(); // the page takes only what nobody else took
    setOver(false);
    if (event.dataTransfer) void app.pictures.takeDrop(event.dataTransfer, one.id);
  };
  return (
    <article
      class={over ? 'card class over' : 'card class'}
      aria-label={`Class ${one.name}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <header>
        <i class="dot" style={{ background: colour }} />
        <input
          class="name"
          value={one.name}
          aria-label="Name of the class"
          maxLength={60}
          onFocus={(event) => /^Class \d+$/.test(one.name) && event.currentTarget.select()}
          onInput={(event) => app.pictures.renameClass(one.id, event.currentTarget.value)}
        />
        <span class="count">
          {pictures.length} <span class="quiet">{pictures.length === 1 ? 'picture' : 'pictures'}</span>
        </span>
        {removable && (
          <button
            type="button"
            class="icon"
            aria-label={`Remove the class ${one.name}`}
            title="Remove the class"
            onClick={() => {
              const sure =
                pictures.length === 0 || confirm(`Remove “${one.name}” and its ${pictures.length} pictures?`);
              if (sure) app.pictures.removeClass(one.id);
            }}
          >
            ×
          </button>
        )}
      </header>
      <div class="row">
        <FileButton label="Files" onFiles={(files) => void app.pictures.takeFiles(files, one.id)} />
        <button type="button" aria-pressed={camera} onClick={() => setCamera(!camera)}>
          Camera
        </button>
      </div>
      {camera && <Recorder app={app} one={one} onClose={() => setCamera(false)} />}
      {pictures.length > 0 && (
        <ul class="thumbnails" aria-label={`Pictures of ${one.name}`}>
          {shown.map((picture) => (
            <li key={picture.id}>
              <img src={thumbnail(picture.blob)} alt={picture.name} loading="lazy" decoding="async" />
              <button
                type="button"
                aria-label={`Remove ${picture.name}`}
                title={`Remove ${picture.name}`}
                onClick={() => app.pictures.removePictures([picture.id])}
              >
                ×
              </button>
            </li>
          ))}
        </ul>
      )}
      {pictures.length > SHOWN && (
        <button type="button" class="plain" onClick={() => setAll(!all)}>
          {all ? 'Show fewer' : `Show all ${pictures.length}`}
        </button>
      )}
    </article>
  );
}

/** The camera of a class: shots as long as the button is held, or so many. */
function Recorder({ app, one, onClose }: { app: App; one: PictureClass; onClose: () => void }): JSX.Element {
  const video = useRef<HTMLVideoElement | null>(null);
  const [ready, setReady] = useState(false);
  const [recording, setRecording] = useState(false);
  const left = useRef(0);
  const running = useRef(false);
  const record = async (most: number) => {
    left.current = most;
    if (running.current) return;
    running.current = true;
    setRecording(true);
    const name = `camera ${new Date().toLocaleTimeString()}`;
    while (left.current > 0 && video.current) {
      left.current--;
      const blob = await shot(video.current);
      if (blob) await app.pictures.takeShot(blob, one.id, name);
      await new Promise((resolve) => setTimeout(resolve, SHOT_EVERY));
    }
    running.current = false;
    setRecording(false);
  };
  const end = () => {
    left.current = 0;
  };
  useEffect(
    () => () => {
      left.current = 0;
      video.current = null;
    },
    [],
  );
  const held = (event: KeyboardEvent) => event.key === ' ' || event.key === 'Enter';
  return (
    <div class="recorder">
      <Camera
        label={`What the camera sees, for ${one.name}`}
        onReady={(view) => {
          video.current = view;
          setReady(true);
        }}
        onClose={(problem) => {
          if (problem) app.notice(problem);
          onClose();
        }}
      />
      <div class="row">
        <button
          type="button"
          class={recording ? 'strong recording' : 'strong'}
          disabled={!ready}
          onPointerDown={(event) => {
            event.currentTarget.setPointerCapture(event.pointerId);
            void record(Number.POSITIVE_INFINITY);
          }}
          onPointerUp={end}
          onPointerCancel={end}
          onBlur={end}
          onKeyDown={(event) => {
            if (!held(event)) return;
            event.preventDefault();
            if (!event.repeat) void record(Number.POSITIVE_INFINITY);
          }}
          onKeyUp={(event) => held(event) && end()}
        >
          {recording ? 'Recording …' : 'Hold to record'}
        </button>
        <button type="button" disabled={!ready || recording} onClick={() => void record(SHOTS)}>
          Take {SHOTS}
        </button>
        <button type="button" class="plain" onClick={onClose}>
          Close
        </button>
      </div>
    </div>
  );
}

interface FileButtonProps {
  readonly label: string;
  /** A folder instead of files. */
  readonly folder?: boolean;
  readonly accept?: string;
  readonly disabled?: boolean;
  readonly onFiles: (files: readonly File[]) => void;
}

export function FileButton({
  label,
  folder = false,
  accept = 'image/*,.zip',
  disabled = false,
  onFiles,
}: FileButtonProps): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" disabled={disabled} onClick={() => input.current?.click()}>
        {label}
      </button>
      <input
        ref={input}
        type="file"
        hidden
        multiple
        aria-label={label}
        accept={folder ? '' : accept}
        {...(folder && { webkitdirectory: true })}
        onChange={(event) => {
          const files = [...(event.currentTarget.files ?? [])];
          event.currentTarget.value = '';
          if (files.length > 0) onFiles(files);
        }}
      />
    </>
  );
}
