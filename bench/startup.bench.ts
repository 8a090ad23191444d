import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { median, type Bench } from './harness.ts';

const program = fileURLToPath(new URL('../packages/cli/dist/bin.js', import.meta.url));
const rounds = 15;

/** Arguments of Node.js; the first one does nothing, the others are compared with it. */
const lines = {
  node: ['-e', '0'],
  help: [program, '--help'],
  train_help: [program, 'train', '--help'],
} as const;
type Line = keyof typeof lines;

export const bench: Bench = {
  title: `processes that print help, beside one that does nothing, the three in turn, medians of ${rounds} rounds`,
  async run() {
    if (!existsSync(program)) throw new Error('the program is not built: run `pnpm build` first');
    const names = Object.keys(lines) as Line[];
    for (const name of names) runOnce(name);
    const seconds = Array.from({ length: rounds }, () =>
      Object.fromEntries(names.map((name) => [name, runOnce(name)])),
    ) as Record<Line, number>[];
    const ratio = (name: Line) => median(seconds.map((round) => round[name] / round.node));
    return [
      ...names.map((name) => ({
        name: `${name}_ms`,
        value: 1000 * median(seconds.map((round) => round[name])),
        unit: 'ms',
      })),
      { name: 'help_ratio', value: ratio('help'), unit: 'x', atMost: 3 },
      { name: 'train_help_ratio', value: ratio('train_help'), unit: 'x', atMost: 3 },
    ];
  },
};

/** Seconds from the start of the process to its end. */
function runOnce(name: Line): number {
  const start = performance.now();
  const { status, error } = spawnSync(process.execPath, lines[name], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (error !== undefined || status !== 0) throw new Error(`${name} ended with ${status ?? error?.message}`);
  return (performance.now() - start) / 1000;
}
