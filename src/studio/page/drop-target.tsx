/** A place that files are dropped on. What is within it offers the same to who drops nothing. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';

interface DropTargetProps {
  readonly onData: (data: DataTransfer) => void;
  readonly children: ComponentChildren;
}

export function DropTarget({ onData, children }: DropTargetProps) {
  const [over, setOver] = useState(false);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the buttons within do the same
    <div
      class={`drop${over ? ' over' : ''}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        if (event.dataTransfer) onData(event.dataTransfer);
      }}
    >
      {children}
    </div>
  );
}
