// Declarations of all packages' sources, into `.types`: one compiler for all of them, as most of its time goes into reading
// the declarations of the language and of Node.js. tsup makes one file per entry of them.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { runPnpm } from './lib/package-managers.mjs';
import { root } from './lib/workspace.mjs';

if (process.env.MUSUBI_BUILD_DTS !== '0') {
  rmSync(join(root, '.types'), { recursive: true, force: true });
  const { ok } = runPnpm(['exec', 'tsc', '-p', 'tsconfig.declarations.json']);
  process.exitCode = ok ? 0 : 1;
}
