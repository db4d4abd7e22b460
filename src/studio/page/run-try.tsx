/** Trying a trained model on a picture, or on what the camera sees. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Predicted, ShownRun } from './api.js';
import { ask, messageOf } from './ask.js';
import { DropTarget } from './drop-target.js';
import { percent } from './format.js';
import { Meter, Section } from './parts.js';

/** Side of what the camera's pictures are sent in: more than any student sees. */
const CAMERA_SIDE = 512;

export function RunTry({ run }: { run: ShownRun }) {
  const [picture, setPicture] = useState<string | null>(null);
  const [answer, setAnswer] = useState<Predicted | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [camera, setCamera] = useState(false);
  // an address of a picture holds it in memory until it is given back
  useEffect(() => () => (picture === null ? undefined : URL.revokeObjectURL(picture)), [picture]);
  const name = async (blob: Blob): Promise<void> => {
    setBusy(true);
    try {
      const named = await ask<Predicted>('api/run/predict', { method: 'POST', query: { run: run.name }, body: blob });
      setProblem(named.error);
      setAnswer(named.error === null ? named : null);
      if (named.error !== null) setPicture(null); // it is none
    } catch (error) {
      setProblem(messageOf(error));
      setAnswer(null);
    } finally {
      setBusy(false);
    }
  };
  const take = (file: Blob | null | undefined) => {
    if (!file) return;
    setCamera(false);
    setPicture(URL.createObjectURL(file));
    void name(file);
  };
  return (
    <Section id="try" title="Try it">
      <div class="card try">
        <div>
          {camera ? (
            <Camera onFrame={name} onProblem={setProblem} />
          ) : (
            <DropTarget onData={({ files }) => take(files[0])}>
              {picture === null ? <p>Drop a picture here.</p> : <img src={picture} alt="What was asked about" />}
              <div class="actions">
                <label class="button">
                  Choose a picture
                  <input
                    type="file"
                    class="hidden"
                    accept="image/*"
                    onChange={(event) => take(event.currentTarget.files?.[0])}
                  />
                </label>
              </div>
            </DropTarget>
          )}
          <p>
            <button type="button" class="quiet" onClick={() => setCamera(!camera)}>
              {camera ? 'Switch the camera off' : 'Use the camera'}
            </button>
          </p>
        </div>
        <div aria-live="polite">
          {problem !== null && <p class="note warn">{problem}</p>}
          {answer ? (
            <>
              <ul class="bars">
                {answer.predictions.map(({ label, probability }) => (
                  <li key={label}>
                    <span>{label}</span>
                    <Meter share={probability} label={`${label}: ${percent(probability)}`} />
                    <b>{percent(probability)}</b>
                  </li>
                ))}
              </ul>
              <p class="note small">
                {answer.milliseconds} ms.{' '}
                {answer.none
                  ? 'Less familiar than nearly all of its own pictures: probably none of these.'
                  : 'It has learned these classes alone: whatever it is shown, it names one of them.'}
              </p>
            </>
          ) : (
            problem === null && (
              <p class="note">{busy ? 'Loading the model…' : 'What it takes the picture for shows here.'}</p>
            )
          )}
        </div>
      </div>
    </Section>
  );
}

interface CameraProps {
  readonly onFrame: (picture: Blob) => Promise<void>;
  readonly onProblem: (text: string | null) => void;
}

/** Asks about one frame after the other, and lets the camera go when it is taken away. */
function Camera({ onFrame, onProblem }: CameraProps) {
  const video = useRef<HTMLVideoElement>(null);
  const latest = useRef(onFrame);
  latest.current = onFrame;
  useEffect(() => {
    let stream: MediaStream | null = null;
    let ended = false;
    const goOn = async () => {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
      if (ended) return letGo(stream);
      const element = video.current!;
      element.srcObject = stream;
      await element.play();
      onProblem(null);
      while (!ended) {
        const frame = await frameOf(element);
        if (frame && !ended) await latest.current(frame);
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    };
    goOn().catch((error: unknown) => !ended && onProblem(`The camera cannot be used: ${messageOf(error)}`));
    return () => {
      ended = true;
      if (stream) letGo(stream);
    };
  }, []);
  return <video ref={video} muted playsInline aria-label="What the camera sees" />;
}

function letGo(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

/** The middle of what the camera sees, as a JPEG. */
function frameOf(video: HTMLVideoElement): Promise<Blob | null> {
  const side = Math.min(video.videoWidth, video.videoHeight);
  if (side === 0) return Promise.resolve(null);
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = Math.min(side, CAMERA_SIDE);
  const [x, y] = [(video.videoWidth - side) / 2, (video.videoHeight - side) / 2];
  canvas.getContext('2d')!.drawImage(video, x, y, side, side, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.9));
}
