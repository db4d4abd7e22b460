/** The camera: a view of it, its shots, and why there is none. */
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { cameraProblem } from './problems.js';

/** Side of a shot, in pixels: the middle square of what the camera sees. */
export const SHOT_SIDE = 320;

interface CameraProps {
  readonly label: string;
  /** Told of the view when it runs. */
  readonly onReady: (video: HTMLVideoElement) => void;
  readonly onClose: (problem: string | null) => void;
}

export function Camera({ label, onReady, onClose }: CameraProps): JSX.Element {
  const view = useRef<HTMLVideoElement>(null);
  const [devices, setDevices] = useState<readonly MediaDeviceInfo[]>([]);
  const [device, setDevice] = useState('');
  useEffect(() => {
    let gone = false;
    let stream: MediaStream | null = null;
    const open = async () => {
      try {
        if (!navigator.mediaDevices?.getUserMedia) throw new DOMException('this page has no access', 'NotFoundError');
        const which = device === '' ? { facingMode: 'environment' } : { deviceId: { exact: device } };
        stream = await navigator.mediaDevices.getUserMedia({ video: { ...which, width: 640, height: 480 } });
        const video = view.current;
        if (gone || !video) return stop(stream);
        video.srcObject = stream;
        await video.play();
        if (gone) return;
        onReady(video);
        const all = await navigator.mediaDevices.enumerateDevices();
        if (!gone) setDevices(all.filter(({ kind }) => kind === 'videoinput'));
      } catch (error) {
        if (!gone && (error as DOMException).name !== 'AbortError') onClose(cameraProblem(error));
      }
    };
    void open();
    return () => {
      gone = true;
      if (stream) stop(stream);
    };
  }, [device]);
  return (
    <div class="camera">
      <video ref={view} muted playsInline aria-label={label} />
      {devices.length > 1 && (
        <label class="quiet">
          Camera{' '}
          <select value={device} onChange={(event) => setDevice(event.currentTarget.value)}>
            {devices.map((one, i) => (
              <option key={one.deviceId} value={one.deviceId}>
                {one.label || `Camera ${i + 1}`}
              </option>
            ))}
          </select>
        </label>
      )}
    </div>
  );
}

const stop = (stream: MediaStream) => {
  for (const track of stream.getTracks()) track.stop();
};

/** The middle square of the view as pixels; null before it shows anything. */
export function square(video: HTMLVideoElement): HTMLCanvasElement | null {
  const side = Math.min(video.videoWidth, video.videoHeight);
  if (side === 0) return null;
  const canvas = document.createElement('canvas');
  canvas.width = SHOT_SIDE;
  canvas.height = SHOT_SIDE;
  const context = canvas.getContext('2d', { willReadFrequently: true })!;
  context.imageSmoothingQuality = 'high';
  const [x, y] = [(video.videoWidth - side) / 2, (video.videoHeight - side) / 2];
  context.drawImage(video, x, y, side, side, 0, 0, SHOT_SIDE, SHOT_SIDE);
  return canvas;
}

/** The middle square as a picture. */
export async function shot(video: HTMLVideoElement): Promise<Blob | null> {
  const canvas = square(video);
  if (!canvas) return null;
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.92));
}
