/** Where pictures to learn from are dropped. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { messageOf } from './ask.js';
import { DropTarget } from './drop-target.js';
import { Meter } from './parts.js';
import { chosenFiles, type Dropped, droppedFiles, upload } from './upload.js';

export interface DropProps {
  readonly onData: (path: string, says: string) => void;
}

export function Drop({ onData }: DropProps) {
  const [progress, setProgress] = useState<{ done: number; total: number } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const stop = useRef<AbortController | null>(null);
  useEffect(() => () => stop.current?.abort(), []);
  const take = async (files: () => Promise<Dropped> | Dropped) => {
    const own = new AbortController();
    stop.current = own;
    setProblem(null);
    try {
      const dropped = await files();
      setProgress({ done: 0, total: dropped.files.length });
      const { path, says } = await upload(dropped, {
        signal: own.signal,
        onProgress: (done, total) => setProgress({ done, total }),
      });
      const passed = dropped.passedOver > 0 ? `; ${dropped.passedOver} other files were passed over` : '';
      onData(path, `${says}${passed}`);
    } catch (error) {
      if (!own.signal.aborted) setProblem(messageOf(error));
    } finally {
      setProgress(null);
    }
  };
  return (
    <DropTarget onData={(data) => void take(() => droppedFiles(data))}>
      {progress ? (
        <>
          <p>
            {progress.done} of {progress.total} {progress.total === 1 ? 'file' : 'files'}
          </p>
          <Meter share={progress.done / Math.max(1, progress.total)} label="Upload" />
          <div class="actions" style={{ marginTop: '.8rem' }}>
            <button type="button" onClick={() => stop.current?.abort()}>
              Stop
            </button>
          </div>
        </>
      ) : (
        <>
          <p>Drop a folder with one folder for each class here, or a zip of it.</p>
          <div class="actions">
            <label class="button">
              Choose a folder
              <input
                type="file"
                class="hidden"
                {...{ webkitdirectory: true }}
                onChange={(event) => {
                  const { files } = event.currentTarget;
                  if (files?.length) void take(() => chosenFiles(files));
                }}
              />
            </label>
            <label class="button">
              Choose a zip
              <input
                type="file"
                class="hidden"
                accept=".zip"
                onChange={(event) => {
                  const { files } = event.currentTarget;
                  if (files?.length) void take(() => chosenFiles(files));
                }}
              />
            </label>
          </div>
        </>
      )}
      {problem !== null && <p class="note warn">{problem}</p>}
    </DropTarget>
  );
}
