/** What makes a sweep of a run: seeds, with and without the teacher, and settings of which several values are tried. */
import type { FormFacts, ShownIssue } from './api.js';

/** As it is typed. */
export interface SweepDraft {
  readonly on: boolean;
  readonly name: string;
  readonly seeds: string;
  readonly alone: boolean;
  readonly vary: readonly { readonly name: string; readonly values: string }[];
}

export const NO_SWEEP: SweepDraft = { on: false, name: 'sweep', seeds: '1, 2, 3', alone: false, vary: [] };

interface SweepProps {
  readonly facts: FormFacts;
  readonly draft: SweepDraft;
  readonly taught: boolean;
  readonly issues: readonly ShownIssue[];
  readonly change: (draft: SweepDraft) => void;
}

export function Sweep({ facts, draft, taught, issues, change }: SweepProps) {
  const set = (part: Partial<SweepDraft>) => change({ ...draft, ...part });
  const wrongOf = (name: string) =>
    issues.filter(({ field }) => field === `sweep.${name}`).map(({ message }) => message);
  const can = facts.fields.filter(({ name, type }) => name !== 'seed' && type.kind !== 'group');
  return (
    <div class="card">
      <label class="check">
        <input type="checkbox" checked={draft.on} onChange={(event) => set({ on: event.currentTarget.checked })} />
        <span>Several runs: other seeds, with and without a teacher, other settings</span>
      </label>
      {draft.on && (
        <>
          <div class="fields sweep-fields">
            <Text
              id="sweep-name"
              label="Name"
              says="folder of all its runs"
              text={draft.name}
              wrong={wrongOf('name')}
              onText={(name) => set({ name })}
            />
            <Text
              id="sweep-seeds"
              label="Seeds"
              says="each setting is trained with each of them; 1-5 is 1 to 5"
              text={draft.seeds}
              wrong={wrongOf('seeds')}
              onText={(seeds) => set({ seeds })}
            />
            <div class="field wide">
              <label class="check">
                <input
                  type="checkbox"
                  checked={draft.alone}
                  disabled={!taught && !draft.alone}
                  onChange={(event) => set({ alone: event.currentTarget.checked })}
                />
                <span>Each also without the teacher</span>
              </label>
              {!taught && <p class="says">Name a teacher above, and what it brings shows as a paired difference.</p>}
            </div>
          </div>
          {draft.vary.map(({ name, values }, i) => (
            <div class="vary" key={i}>
              <select
                aria-label="Setting that varies"
                value={name}
                onChange={(event) =>
                  set({
                    vary: draft.vary.map((one, j) => (j === i ? { ...one, name: event.currentTarget.value } : one)),
                  })
                }
              >
                {can.map((field) => (
                  <option key={field.name} value={field.name}>
                    {field.label}
                  </option>
                ))}
              </select>
              <input
                aria-label={`Values of ${name}`}
                placeholder="0.001, 0.003"
                value={values}
                onInput={(event) =>
                  set({
                    vary: draft.vary.map((one, j) => (j === i ? { ...one, values: event.currentTarget.value } : one)),
                  })
                }
              />
              <button
                type="button"
                aria-label={`Do not vary ${name}`}
                onClick={() => set({ vary: draft.vary.filter((_, j) => j !== i) })}
              >
                ×
              </button>
            </div>
          ))}
          <button
            type="button"
            class="quiet"
            onClick={() => set({ vary: [...draft.vary, { name: 'lr', values: '' }] })}
          >
            Vary a setting
          </button>
        </>
      )}
    </div>
  );
}

interface TextProps {
  readonly id: string;
  readonly label: string;
  readonly says: string;
  readonly text: string;
  readonly wrong: readonly string[];
  readonly onText: (text: string) => void;
}

const Text = ({ id, label, says, text, wrong, onText }: TextProps) => (
  <div class={`field${wrong.length > 0 ? ' bad' : ''}`} data-field={id}>
    <label for={id}>{label}</label>
    <input id={id} value={text} onInput={(event) => onText(event.currentTarget.value)} />
    <p class="says">{says}</p>
    {wrong.length > 0 && (
      <p class="wrong" role="alert">
        {wrong.join('; ')}
      </p>
    )}
  </div>
);
