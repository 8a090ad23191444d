// The blocks of docs/advanced-configuration.md and its translations: what the tests run and what pictures are made from.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './workspace.mjs';

export const guides = ['docs/advanced-configuration.md', 'docs/advanced-configuration.ja.md'];

/** Every fenced block: `{ line, language, code }`. */
export function readBlocks(file) {
  const text = readGuide(file);
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map((match) => ({
    line: text.slice(0, match.index).split('\n').length,
    language: match[1],
    code: match[2],
  }));
}

/** The name in a first line such as `# config.toml`: such a block is a whole file; null for additions to config.toml. */
export function fileNameOf({ code }) {
  return /^# (\S+\.toml)\n/.exec(code)?.[1] ?? null;
}

/** The command lines of an `sh` block, continued lines as one. */
export function commandsOf({ code }) {
  return code
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line !== '');
}

/** The commands that write a picture, by the name of its file. */
export function pictureCommands(file) {
  const commands = readBlocks(file)
    .filter(({ language }) => language === 'sh')
    .flatMap(commandsOf);
  return commands.flatMap((command) => {
    const [, what] = /--show_(timesteps|lr_schedule) image/.exec(command) ?? [];
    const [, name] = /--output_name (\S+)/.exec(command) ?? [];
    if (what === undefined || name === undefined) return [];
    return [{ command, picture: `${name}-${what === 'timesteps' ? 'timesteps' : 'learning-rates'}.png` }];
  });
}

export function readGuide(file) {
  return readFileSync(join(root, file), 'utf8').replaceAll('\r\n', '\n');
}
