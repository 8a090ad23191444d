/** How the text of an option is read; `int_or_float` is a number of steps, or a share of all steps such as `0.1` or `10%`. */
export type OptionType = 'string' | 'path' | 'int' | 'float' | 'int_or_float' | 'bool';

/** What this release does with an option that is set to something other than its default. */
export type OptionSupport =
  | { readonly state: 'works' }
  /** Has no meaning here; accepted, and `answer` says once what is done instead. Silent for values in `unless`. */
  | { readonly state: 'accepted'; readonly answer: string; readonly unless?: readonly (string | number)[] }
  | { readonly state: 'refused'; readonly reason: string };

/** Headings of the help text, in its order. */
export const optionGroups = {
  config: 'Configuration file',
  data: 'Data',
  model: 'Model',
  caching: 'Caching',
  network: 'Adapter',
  optimizer: 'Optimizer',
  schedule: 'Learning rate schedule',
  timesteps: 'Timesteps and loss',
  training: 'Training',
  saving: 'Saving',
  metadata: 'Metadata of saved files',
  logging: 'Logging',
  samples: 'Preview samples',
  memory: 'Memory and speed',
  distributed: 'Distributed training',
  upload: 'Upload',
  files: 'Files',
  averaging: 'Average',
  prompt: 'Prompt',
  inputs: 'Pictures and videos to start from',
  output: 'Result',
  sampling: 'Sampling',
} as const;

export type OptionGroup = keyof typeof optionGroups;

export type OptionDefault = null | boolean | string | number | { readonly float: number } | readonly number[];

/** One option of the command line and of the configuration file. */
export interface OptionSpec {
  /** As the user writes it, in snake_case; `--name` on the command line. */
  readonly name: string;
  readonly type: OptionType;
  /** The value when nobody sets it, as the original program has it; a float default is written `{ float: 1 }`. */
  readonly default: OptionDefault;
  readonly choices?: readonly string[];
  /** Choices that are known but not part of this release, with the reason. */
  readonly refusedChoices?: Readonly<Record<string, string>>;
  /** `*`: as many values as are given on the command line, a list in the file; `+`: at least one; a number: so many. */
  readonly nargs?: '*' | '+' | number;
  /** Stands on the command line without its name; several in the order of the table, and a list last. */
  readonly isPositional?: true;
  /** Never shown in messages. */
  readonly isSecret?: true;
  /** Smallest and largest value; `above` excludes its bound. */
  readonly range?: { readonly min?: number; readonly above?: number; readonly max?: number };
  /** Scripts that know it; absent: all training scripts, but for what a command `lacks`. */
  readonly scripts?: readonly string[];
  /** The original demands it on the command line. */
  readonly isRequired?: true;
  /** Stands in the short help. */
  readonly isBasic?: true;
  /** Options without which this one has no effect or no meaning; each entry may be a list of which one is enough. */
  readonly dependsOn?: readonly (string | readonly string[])[];
  /** Options that cannot be set together with this one. */
  readonly conflictsWith?: readonly string[];
  readonly group: OptionGroup;
  /** One sentence. */
  readonly help: string;
  readonly support: OptionSupport;
}

export const works = { state: 'works' } as const;
export const accepted = (answer: string, unless?: readonly (string | number)[]): OptionSupport =>
  unless === undefined ? { state: 'accepted', answer } : { state: 'accepted', answer, unless };
export const refused = (reason: string): OptionSupport => ({ state: 'refused', reason });

/** A default as plain JavaScript. */
export function plainDefault(initial: OptionDefault): null | boolean | string | number | readonly number[] {
  return typeof initial === 'object' && initial !== null && 'float' in initial ? initial.float : initial;
}
