/** Small things the browser keeps for the page, and files it hands to the visitor. */
import type { Pace } from './lengths.js';

const PACE = 'idat-pace';

/** Measured on this device by earlier trainings. */
export function storedPace(): Pace {
  try {
    return JSON.parse(localStorage.getItem(PACE) ?? '{}') as Pace;
  } catch {
    return {};
  }
}

export function keepPace(pace: Pace): void {
  try {
    localStorage.setItem(PACE, JSON.stringify(pace));
  } catch {
    // a browser that keeps nothing reckons the next time again
  }
}

export function download(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
