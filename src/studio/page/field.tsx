/** A setting as a field: its type decides what is drawn, its record what is said. */
import type { FormField } from './api.js';
import { textOf } from './field-values.js';

export interface FieldProps {
  readonly field: FormField;
  /** As typed; empty where nothing was. */
  readonly text: string;
  readonly wrong: readonly string[];
  readonly onText: (text: string) => void;
  readonly disabled?: boolean;
}

export function Field({ field, text, wrong, onText, disabled = false }: FieldProps) {
  const { name, label, says, type } = field;
  const id = `field-${name}`;
  const state = `field${wrong.length > 0 ? ' bad' : ''}${text !== '' ? ' given' : ''}`;
  const described = `${id}-says${wrong.length > 0 ? ` ${id}-wrong` : ''}`;
  const about = { id, disabled, 'aria-describedby': described, 'aria-invalid': wrong.length > 0 };
  return (
    <div class={state} data-field={name}>
      {type.kind === 'boolean' ? (
        <label class="check" for={id}>
          <input
            {...about}
            type="checkbox"
            checked={text === '' ? field.preset === true : text === 'true'}
            onChange={(event) => {
              const { checked } = event.currentTarget;
              onText(checked === (field.preset === true) ? '' : `${checked}`);
            }}
          />
          <span>{label}</span>
        </label>
      ) : (
        <>
          <label for={id}>{label}</label>
          <Control {...{ field, text, onText, about }} />
        </>
      )}
      <p class="says" id={`${id}-says`}>
        {says}
      </p>
      {wrong.length > 0 && (
        <p class="wrong" id={`${id}-wrong`} role="alert">
          {wrong.join('; ')}
        </p>
      )}
    </div>
  );
}

interface ControlProps {
  readonly field: FormField;
  readonly text: string;
  readonly onText: (text: string) => void;
  readonly about: Readonly<Record<string, unknown>> & { readonly id: string };
}

function Control({ field, text, onText, about }: ControlProps) {
  const { type, preset, offers, nullable } = field;
  const usual = preset === null ? (nullable ? 'none' : '') : textOf(preset);
  if (type.kind === 'choice') {
    return (
      <select {...about} value={text} onChange={(event) => onText(event.currentTarget.value)}>
        <option value="">{usual === '' ? 'as usual' : `${usual} (usual)`}</option>
        {type.choices
          .filter((choice) => choice !== usual)
          .map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
      </select>
    );
  }
  const numeric = type.kind === 'number' || type.kind === 'integer';
  return (
    <>
      <input
        {...about}
        type="text"
        value={text}
        placeholder={usual}
        autocomplete="off"
        spellcheck={false}
        {...(numeric && { inputMode: 'decimal' as const })}
        list={offers.length > 0 ? `${about.id}-offers` : undefined}
        onInput={(event) => onText(event.currentTarget.value)}
      />
      {offers.length > 0 && (
        <datalist id={`${about.id}-offers`}>
          {offers.map((offer) => (
            <option key={offer} value={offer} />
          ))}
        </datalist>
      )}
    </>
  );
}
