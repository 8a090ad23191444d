// Imports every built entry in plain Node.js, as an installed package is imported. Needs a build.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createChecklist, runAsScript, runNode } from './lib/run.mjs';
import { entriesOf, readPackages } from './lib/workspace.mjs';

export function checkDist() {
  const { holds, counts } = createChecklist();
  for (const pack of readPackages().filter(({ manifest }) => !manifest.private)) {
    for (const { subpath, built } of entriesOf(pack)) {
      const file = join(pack.folder, built);
      const problem = importProblem(file);
      holds(`packages/${pack.name}, entry "${subpath}": ${problem}`, problem === undefined);
    }
  }
  return counts;
}

/** Why the entry cannot be used, or undefined. Each import has its own process: an entry must not keep one alive. */
function importProblem(file) {
  if (!existsSync(file)) return `${file} is not built`;
  if (!existsSync(file.replace(/\.js$/, '.d.ts'))) return `${file} has no declarations beside it`;
  const code = `console.log(Object.keys(await import(${JSON.stringify(pathToFileURL(file).href)})).length)`;
  const { ok, stdout, stderr } = runNode('--input-type=module', ['--eval', code], { capture: true });
  if (!ok) return `the import fails\n${stderr}`;
  return Number(stdout) > 0 ? undefined : 'it exports nothing; remove the entry or give it something';
}

await runAsScript(import.meta.url, 'built entries', checkDist);
