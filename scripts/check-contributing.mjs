// Checks that every file and folder that CONTRIBUTING.md and ARCHITECTURE.md name exists, and every script of the root.
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { createChecklist, runAsScript } from './lib/run.mjs';
import { readPackages, root, rootManifest } from './lib/workspace.mjs';

/** First parts of paths from the root; a file name alone counts where it lies there. */
const folders = readdirSync(root).filter((name) => name !== 'node_modules');

export function checkContributing() {
  const { holds, counts } = createChecklist();
  for (const document of ['CONTRIBUTING.md', 'ARCHITECTURE.md']) {
    for (const span of codeSpans(readFileSync(join(root, document), 'utf8'))) {
      for (const path of pathsIn(span)) holds(`${document} names ${path}, which does not exist`, exists(path));
      const script = /^pnpm (release[:\w]*|bench|lint|format|build|typecheck)/.exec(span)?.[1];
      if (script) holds(`${document} names pnpm ${script}, no script of package.json`, script in rootManifest.scripts);
    }
  }
  const text = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8');
  const named = codeSpans(text).flatMap(pathsIn);
  for (const file of usersOfWan()) {
    const isNamed = named.some((path) => file === path || file.startsWith(`${path}/`));
    holds(`CONTRIBUTING.md does not say under "Add an architecture" that ${file} names Wan`, isNamed);
  }
  return counts;
}

/** What has to learn of another architecture: sources that import the one there is, tests left out. */
function usersOfWan() {
  return readPackages()
    .filter(({ name }) => name !== 'models')
    .flatMap(({ folder }) =>
      readdirSync(join(folder, 'src'), { recursive: true }).map((file) => join(folder, 'src', String(file))),
    )
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
    .filter((path) => /import \{[^}]*\bwan\b[^}]*\} from '@musubi\/models'/.test(readFileSync(path, 'utf8')))
    .map((path) => relative(root, path).replaceAll('\\', '/'));
}

/** Text in back ticks, indented lines included as they are. */
function codeSpans(text) {
  const indented = text.split(/\r?\n/).filter((line) => line.startsWith('    '));
  return [...[...text.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span), ...indented];
}

/** Words that begin like a path of the repository. `NAME` and `*` stand for any name. */
function pathsIn(span) {
  return span
    .split(/[\s,()]+/)
    .filter((word) => word.includes('/') && folders.includes(word.split('/')[0]))
    .map((word) => word.replace(/[/.]+$/, ''));
}

function exists(path) {
  let found = [root];
  for (const part of path.split('/')) {
    const pattern = new RegExp(`^${part.replaceAll('.', '\\.').replaceAll(/NAME|\*/g, '[^/]+')}$`);
    found = found.flatMap((folder) =>
      entries(folder)
        .filter((name) => pattern.test(name))
        .map((name) => join(folder, name)),
    );
  }
  return found.length > 0;
}

function entries(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return []; // a file
  }
}

await runAsScript(import.meta.url, 'files that the documents name', checkContributing);
