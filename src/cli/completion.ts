/**
 * Completion of shells: what can stand where, read from the commands themselves, and scripts made of it.
 *
 * Written for this rather than taken: @bomb.sh/tab (0.0, no dependencies) and omelette ask the program anew at each Tab, and idat
 * takes half a second to start; a script that knows all words answers at once, in a hundred lines, and what it must know stands
 * in the records of the settings.
 */
import type { Argument, Command, Option } from 'commander';
import { KNOWN_BACKBONES } from '../backbones/known-backbones.js';
import { LOSSES } from '../distill/index.js';
import { METHODS } from '../methods/index.js';
import { NAMED_RECIPES } from '../paper/named-recipes.js';
import { FineTuneConfig } from '../settings/config.js';
import { PRESETS } from '../settings/presets.js';
import { type FieldType, schemaFields } from '../settings/schema-fields.js';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** What a value may be: words, and paths as well or instead. */
export interface Value {
  readonly words: readonly string[];
  readonly paths: 'files' | 'folders' | null;
}

export interface CompletedOption {
  /** `--lr`, `-h` */
  readonly flags: readonly string[];
  readonly says: string;
  /** Null where it takes none. */
  readonly value: Value | null;
  /** Whether it takes several, one after the other. */
  readonly several: boolean;
}

export interface CompletedCommand {
  /** `train`, `models fetch`; empty for idat itself. */
  readonly name: string;
  readonly says: string;
  readonly subcommands: readonly { readonly name: string; readonly says: string }[];
  readonly options: readonly CompletedOption[];
  /** Of all its arguments. */
  readonly argument: Value | null;
}

const NOTHING: Value = { words: [], paths: null };

/** The words of idat, command by command, subcommands behind their own. */
export function completions(program: Command): CompletedCommand[] {
  const visit = (command: Command, name: string): CompletedCommand[] => {
    const help = command.createHelp();
    const inner = help.visibleCommands(command);
    return [
      {
        name,
        says: command.description(),
        subcommands: inner.map((one) => ({ name: one.name(), says: one.description() })),
        options: help.visibleOptions(command).map(optionOf),
        argument: command.registeredArguments.map(argumentValue).at(-1) ?? null,
      },
      ...inner.flatMap((one) => visit(one, name === '' ? one.name() : `${name} ${one.name()}`)),
    ];
  };
  return visit(program, '');
}

function optionOf(option: Option): CompletedOption {
  const flags = [option.long, option.short].filter((flag) => flag != null);
  return {
    flags,
    says: firstWords(option.description),
    value: option.required || option.optional ? optionValue(option) : null,
    several: option.variadic,
  };
}

const firstWords = (text: string): string => text.split(/[;:(]/)[0]!.trim();

const names = (list: readonly { readonly name: string }[]): string[] => list.map(({ name }) => name);
const VARIANTS = ['S', 'P', 'PS'].flatMap((place) => names(LOSSES).map((loss) => `iDAT-${place}-${loss}`));
const MODELS = names(KNOWN_BACKBONES);

/** Of flags whose words stand in no schema. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  method: names(METHODS),
  teacherMethod: names(METHODS),
  adapter: names(METHODS),
  teacherAdapter: names(METHODS),
  variant: VARIANTS,
  distill: names(LOSSES),
  student: MODELS,
  teacher: MODELS,
  backbone: MODELS,
  preset: names(PRESETS),
  recipe: ['auto', 'none', ...names(NAMED_RECIPES)],
};
/** Own methods and losses, and checkpoints, are files. */
const OR_FILES = /^(student|teacher|method|teacherMethod|distill|adapter|teacherAdapter)$/;

const CHOICES = new Map(schemaFields(FineTuneConfig).map(({ name, type }) => [name, choicesOf(type)]));

function choicesOf(type: FieldType): readonly string[] {
  if (type.kind === 'choice') return type.choices;
  if (type.kind === 'list') return choicesOf(type.of);
  return type.kind === 'number' || type.kind === 'integer' ? type.words : [];
}

function optionValue(option: Option): Value {
  const name = option.attributeName();
  const words = option.argChoices ?? WORDS[name] ?? CHOICES.get(name) ?? [];
  return { words, paths: OR_FILES.test(name) ? 'files' : pathsOf(option.flags) };
}

/** By the word in brackets: `<folder>`, `[run]`. */
function pathsOf(term: string): Value['paths'] {
  if (/[<[](folder|run)\b/.test(term)) return 'folders';
  return /[<[](file|path|data|image|base|dir)/.test(term) ? 'files' : null;
}

function argumentValue(argument: Argument): Value {
  const name = argument.name();
  if (argument.argChoices) return { words: argument.argChoices, paths: null };
  if (name === 'name') return { words: names(METHODS), paths: 'files' };
  if (name === 'names') return { words: MODELS, paths: null };
  return { ...NOTHING, paths: pathsOf(`<${name}>`) ?? 'files' };
}

/** The script to be sourced, or put where the shell looks for such. */
export const completionScript = (shell: Shell, commands: readonly CompletedCommand[]): string =>
  SCRIPTS[shell](commands);

const SCRIPTS: Readonly<Record<Shell, (commands: readonly CompletedCommand[]) => string>> = {
  bash: bashScript,
  zsh: (commands) =>
    [
      '#compdef idat',
      '# zsh: source <(idat completion zsh)',
      'autoload -U +X bashcompinit && bashcompinit',
      bashScript(commands),
    ].join('\n'),
  fish: fishScript,
};

/** Quoted for any of the three shells; words of idat hold no quotes. */
const quoted = (words: readonly string[]): string => `'${words.join(' ')}'`;

function bashScript(commands: readonly CompletedCommand[]): string {
  const children = commands.filter(({ name }) => name !== '').map(({ name }) => name);
  const cases = commands.map(({ name, subcommands, options, argument }) => {
    const allFlags = options.flatMap((option) => option.flags);
    const values = options.flatMap(({ flags, value, several }) => {
      // "last:" where the flag is further back: of those that take several, each word is a value
      const seen = flags.flatMap((flag) => [flag, ...(several ? [`last:${flag}`] : [])]);
      return value === null ? [] : [`        ${seen.join('|')}) ${bashReply(value)}; return ;;`];
    });
    return [
      `    ${quoted([name])})`,
      ...(values.length > 0 ? ['      case "$flag" in', ...values, '      esac'] : []),
      `      if [[ $cur == -* ]]; then words=${quoted(allFlags)}; paths=`,
      `      else words=${quoted([...names(subcommands), ...(argument?.words ?? [])])}; paths=${argument?.paths ?? ''}; fi ;;`,
    ].join('\n');
  });
  return `# bash: source <(idat completion bash)
_idat_reply() {
  # words, then files, folders or nothing
  COMPREPLY=($(compgen -W "$1" -- "$cur"))
  case "$2" in
    files) compopt -o filenames 2>/dev/null; while IFS= read -r one; do COMPREPLY+=("$one"); done < <(compgen -f -- "$cur") ;;
    folders) compopt -o filenames 2>/dev/null; while IFS= read -r one; do COMPREPLY+=("$one"); done < <(compgen -d -- "$cur") ;;
  esac
}
_idat() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command= words= paths= one flag= i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    one=\${COMP_WORDS[i]}
    [[ $one == -* ]] && flag=last:$one
    case "\${command:+$command }$one" in
      ${children.map((name) => `'${name}'`).join('|')}) command="\${command:+$command }$one" ;;
    esac
  done
  [[ $prev == -* ]] && flag=$prev
  case "$command" in
${cases.join('\n')}
  esac
  _idat_reply "$words" "$paths"
}
complete -F _idat idat
`;
}

const bashReply = ({ words, paths }: Value): string => `_idat_reply ${quoted(words)} '${paths ?? ''}'`;

function fishScript(commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap((command) => {
    const when = `-n '__idat_at "${command.name}"'`;
    const complete = (rest: string, says: string) => `complete -c idat ${when} ${rest} -d ${fishText(says)}`;
    const options = command.options.map(({ flags, says, value }) => {
      const named = flags
        .map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
        .join(' ');
      return complete(`${named}${value ? ` ${fishValue(value, '-r')}` : ''}`, says);
    });
    const { argument } = command;
    return [
      ...command.subcommands.map(({ name, says }) => complete(`-f -a ${name}`, says)),
      ...options,
      ...(argument ? [`complete -c idat ${when} ${fishValue(argument, '')}`] : []),
    ];
  });
  const children = commands.filter(({ name }) => name !== '').map(({ name }) => `'${name}'`);
  return `# fish: idat completion fish | source
function __idat_at
  set -l command ''
  for one in (commandline -opc)[2..-1]
    set -l longer (string trim -- "$command $one")
    contains -- $longer ${children.join(' ')}; and set command $longer
  end
  test "$command" = "$argv[1]"
end
complete -c idat -f
${lines.join('\n')}
`;
}

function fishValue({ words, paths }: Value, required: string): string {
  const parts = [
    required,
    paths === 'files' ? '-F' : '-f',
    words.length > 0 ? `-a ${quoted(words)}` : '',
    paths === 'folders' ? "-a '(__fish_complete_directories)'" : '',
  ];
  return parts.filter((part) => part !== '').join(' ');
}

const fishText = (text: string): string => `'${text.replace(/[\\']/g, '\\$&').replace(/\s+/g, ' ')}'`;
