/** Tags and a note of a run. */
import { useState } from 'preact/hooks';
import type { ShownRun } from './api.js';
import { ask, messageOf } from './ask.js';
import { store } from './store.js';

export function RunNotes({ run }: { run: ShownRun }) {
  const [tag, setTag] = useState('');
  const [note, setNote] = useState<string | null>(null);
  const save = async (tags: readonly string[], text: string): Promise<boolean> => {
    try {
      const now = await ask<ShownRun>('api/run/notes', {
        method: 'PUT',
        query: { run: run.name },
        body: { tags, note: text },
      });
      store.put({ run: now });
      return true;
    } catch (error) {
      store.say(messageOf(error), { bad: true });
      return false;
    }
  };
  const add = async (event: Event) => {
    event.preventDefault();
    if (tag.trim() !== '' && (await save([...run.tags, tag], run.note))) setTag('');
  };
  return (
    <div class="notes" role="group" aria-label="Tags and note">
      <form onSubmit={add} class="tools">
        {run.tags.map((one) => (
          <span class="tag" key={one}>
            {one}
            <button
              type="button"
              aria-label={`Take away the tag ${one}`}
              onClick={() =>
                void save(
                  run.tags.filter((other) => other !== one),
                  run.note,
                )
              }
            >
              ×
            </button>
          </span>
        ))}
        <input
          class="tag-input"
          placeholder="Add a tag"
          aria-label="Add a tag"
          maxLength={40}
          value={tag}
          onInput={(event) => setTag(event.currentTarget.value)}
        />
        {note === null && (
          <button type="button" class="quiet" onClick={() => setNote(run.note)}>
            {run.note === '' ? 'Write a note' : 'Change the note'}
          </button>
        )}
      </form>
      {note === null ? (
        run.note !== '' && <p class="written">{run.note}</p>
      ) : (
        <form
          onSubmit={async (event) => {
            event.preventDefault();
            if (await save(run.tags, note)) setNote(null);
          }}
        >
          <textarea
            aria-label="Note"
            maxLength={10_000}
            value={note}
            onInput={(event) => setNote(event.currentTarget.value)}
          />
          <div class="actions">
            <button type="submit" class="primary">
              Keep the note
            </button>
            <button type="button" onClick={() => setNote(null)}>
              Leave it as it was
            </button>
          </div>
        </form>
      )}
    </div>
  );
}
