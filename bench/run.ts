// `pnpm bench NAME… [--json FILE]`: measures, prints a table, exits with 1 when a figure misses its bar.
import { readdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { formatFigures, meetsBar, type Bench, type Figure } from './harness.ts';

const known = readdirSync(new URL('.', import.meta.url))
  .filter((file) => file.endsWith('.bench.ts'))
  .map((file) => file.slice(0, -'.bench.ts'.length));

const { names, json } = readArguments();
console.log(`Node.js ${process.versions.node}, ${process.platform} ${process.arch}, ${availableParallelism()} cores`);
const figures: Figure[] = [];
for (const name of names) {
  const { bench } = (await import(new URL(`${name}.bench.ts`, import.meta.url).href)) as { bench: Bench };
  console.log(`\n${name}: ${bench.title}`);
  const measured = await bench.run((line) => console.log(`  ${line}`));
  console.log(formatFigures(measured));
  figures.push(...measured);
}
if (json !== undefined) {
  const flat = Object.fromEntries(figures.map(({ name, value }) => [name, value]));
  writeFileSync(json, `${JSON.stringify(flat, null, 2)}\n`);
}
process.exitCode = figures.every(meetsBar) ? 0 : 1;

function readArguments(): { names: string[]; json: string | undefined } {
  try {
    const { positionals, values } = parseArgs({ allowPositionals: true, options: { json: { type: 'string' } } });
    const unknown = positionals.filter((name) => !known.includes(name));
    if (unknown.length > 0) throw new Error(`there is no bench called ${unknown.join(', ')}`);
    if (positionals.length === 0) throw new Error('name at least one bench');
    return { names: positionals, json: values.json };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\nusage: pnpm bench NAME… [--json FILE]`);
    console.error(`known: ${known.join(', ')}`);
    process.exit(2);
  }
}
