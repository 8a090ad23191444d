/** A place in a configuration file. */
export interface FileOrigin {
  readonly source: 'file';
  readonly file: string;
  /** Section of the TOML file, null at top level. */
  readonly section: string | null;
  /** From 1; null when it could not be told. */
  readonly line: number | null;
}

/** Where the value of an option comes from. */
export type Origin = { readonly source: 'default' } | { readonly source: 'command line' } | FileOrigin;

/** How the user wrote it: `--seed 7`, or `config.toml, line 3: seed = 7`. */
export function asWritten(origin: Origin, option: string, value: string): string {
  if (origin.source === 'file') return `${placeText(origin)}${option} = ${value}`;
  return `--${option}${value === '' ? '' : ` ${value}`}`;
}

/** `config.toml, line 3: ` before what is said about it; nothing for the command line. */
export function placeText(origin: Origin): string {
  if (origin.source !== 'file') return '';
  return `${origin.file}${origin.line === null ? '' : `, line ${origin.line}`}: `;
}

/** The fields of a problem that say where it is. */
export function placeOf(origin: Origin): { file?: string; section?: string | null; line?: number } {
  if (origin.source !== 'file') return {};
  const { file, section, line } = origin;
  return line === null ? { file, section } : { file, section, line };
}
